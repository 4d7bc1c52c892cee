"""The promises of the project's files: pinned here and open there, clean notebooks, alt text, nothing of one
machine."""

import json
import os
import re
import subprocess

import pytest
import tomllib
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIMIT = 5_000_000  # bytes of a tracked file


def tracked():
    """The files of the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def requirements(path):
    lines = (line.split("#")[0].strip() for line in (ROOT / path).read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(r.name): r for r in found}


def notebooks():
    return sorted((ROOT / "book").rglob("*.ipynb"))


def markdown():
    """Every Markdown text of the project: (where, text)."""
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "book").rglob("*.md"))]:
        yield path.name, path.read_text(encoding="utf-8")
    for path in notebooks():
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                yield f"{path.name}, cell {number}", "".join(cell["source"])


# ------------------------------------------------------------------------------------------------ dependencies


@pytest.mark.parametrize("path", ["requirements.txt", "binder/requirements.txt", "requirements-teach.txt"])
def test_the_tested_set_is_pinned(path):
    for name, requirement in requirements(path).items():
        assert re.fullmatch(r"==[0-9][^*,]*", str(requirement.specifier)), f"{name} is not pinned: {requirement}"


def test_binder_has_the_versions_of_the_tested_set():
    pinned = requirements("requirements.txt")
    for name, requirement in requirements("binder/requirements.txt").items():
        assert requirement.specifier == pinned[name].specifier
    beside = re.findall(r"([\w-]+)(==[\w.]+)", (ROOT / "binder/postBuild").read_text())
    assert {name for name, _ in beside} == {"torch", "torchvision", "mlxtend"}
    assert all(version == str(pinned[name].specifier) for name, version in beside)


def test_the_package_asks_for_lower_bounds_only_and_the_tested_set_meets_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = requirements("requirements.txt")
    asked = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        bounds = {s.operator for s in requirement.specifier}
        assert bounds == ({">=", "<"} if name == "jupyter-book" else {">="}), requirement
        if name in pinned:
            (pin,) = pinned[name].specifier
            assert requirement.specifier.contains(pin.version), f"{pinned[name]} is outside {requirement}"
    assert "<2" in str(next(Requirement(r) for r in asked if r.startswith("jupyter-book")).specifier)
    assert {canonicalize_name(Requirement(r).name) for r in project["dependencies"]} == {
        "torch",
        "numpy",
        "scipy",
        "tqdm",
    }


# ------------------------------------------------------------------------------------------------ two commands


def test_continuous_integration_runs_the_readmes_test_command():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()
    commands = re.search(r"```\n(make book.*?)```", readme, re.S).group(1)
    assert [line.split("#")[0].strip() for line in commands.strip().splitlines()] == [
        "make book",
        "make test",
        "make test-slow",
    ]
    assert re.search(r"^make test\nexec make test-slow$", ci, re.M)
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_contents_name_files_that_exist_as_notebooks():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = [toc["root"], *re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text())]
    for page in pages:
        assert any((ROOT / f"{page}{suffix}").is_file() for suffix in (".ipynb", ".md")), f"{page} is missing"


# --------------------------------------------------------------------------------------------------- notebooks


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_a_notebook_is_committed_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in notebook["metadata"], "strip the widget metadata: GitHub cannot show the notebook otherwise"
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            assert not cell["outputs"] and cell["execution_count"] is None, f"cell {number} has outputs"


def test_every_image_has_alt_text():
    for where, text in markdown():
        text = re.sub(r"`[^`\n]*`", "", text)
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", text):
            assert len(alt.split()) >= 3, f"{where}: {target} needs alt text that says what is to be seen"
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'alt="[^"]{10,}"', tag), f"{where}: {tag} needs alt text"
        for block in re.findall(r"^[:`]{3,}\{(?:image|figure)\}.*?^[:`]{3,}\s*$", text, re.S | re.M):
            assert re.search(r"^(?::alt:|alt:)\s*\S+ \S+", block, re.M), f"{where}: needs :alt:\n{block}"


def test_terms_lead_to_the_glossary_and_most_pages_have_some():
    (glossary,) = re.findall(r"```\{glossary\}\n(.*?)```", (ROOT / "book/glossary.md").read_text(), re.S)
    entries = {line.lower() for line in glossary.splitlines() if line and line[0] not in " :"}
    linked = {}
    for where, text in markdown():
        for words, term in re.findall(r"\{term\}`([^`<]*?)(?: <([^>]*)>)?`", text):
            linked.setdefault(where.split(",")[0], set()).add((term or words).lower())
    for where, terms in linked.items():
        assert terms <= entries, f"{where} explains {terms - entries} nowhere"
    assert len(linked) > 12


def test_the_errata_quote_the_papers_numbers():
    from lbgap import paper

    tables = paper.numbers()
    two, three, four = tables["table2"], tables["table3"], tables["table4"]
    six, seven = tables["table6_augmentation"], tables["table7_conservative"]
    spreads = {n: (two[n]["test"]["SB"][1], seven[n]["SB"][1]) for n in seven}
    assert {n: of for n, of in spreads.items() if of[0] != of[1]} == {"C2": (0.12, 0.05), "C4": (0.5, 0.1)}
    assert all(seven[n]["SB"][0] == two[n]["test"]["SB"][0] for n in seven)
    rise = {n: six[n]["SB"][0] - two[n]["test"]["SB"][0] for n in six}
    assert all(3.5 < rise[n] < 5 for n in ("C1", "C3")) and round(rise["C4"], 2) == -0.03
    assert (seven["C3"]["LB"][0], two["C3"]["test"]["LB"][0]) == (45.98, 46.45)
    assert all(seven[n]["LB"][0] > two[n]["test"]["LB"][0] for n in seven if n != "C3")
    worse = [n for n in seven if seven[n]["sharpness_LB"]["1e-3"][0] > three[n]["1e-3"]["LB"][0]]
    assert worse == ["F1", "F2", "C3"]
    assert (four["F1"]["1e-3"]["LB"][0], four["F1"]["5e-4"]["LB"][0]) == (9.22, 9.17)
    assert round(three["F2"]["1e-3"]["SB"][0] / three["F2"]["5e-4"]["SB"][0], 2) == 1.54
    contrasts = [v["1e-3"]["LB"][0] / v["1e-3"]["SB"][0] for of in (three, four) for v in of.values()]
    assert round(min(contrasts), 1) == 8.7 and round(max(contrasts)) == 223


# ------------------------------------------------------------------------------------------------------- files


def test_no_file_names_a_path_of_one_machine():
    one_machine = re.compile(r"(?<![\w.~})/-])/(?:home|root|Users|work|farm)/\w")
    for path in tracked():
        if path.suffix in {".safetensors", ".png", ".npz", ".xz", ".mp3", ".bin", ".wasm"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not one_machine.search(line), f"{path.relative_to(ROOT)}:{number}: {line[:200]}"


def test_no_file_is_large():
    for path in tracked():
        if path.parent != ROOT / "lbgap" / "minimizers":
            assert path.stat().st_size < LIMIT, f"{path.relative_to(ROOT)} has {path.stat().st_size:,} bytes"


def test_the_readmes_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), f"README.md links to {target}, which does not exist"

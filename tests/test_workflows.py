"""What runs on GitHub: files that its schemas allow, pinned actions, least permissions, and versions that agree."""

import http.server
import json
import re
import subprocess
import sys
import threading

import pytest
import tomllib
import yaml
from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


@pytest.mark.parametrize(
    "schema, paths",
    [("github-workflows", WORKFLOWS), ("github-issue-forms", FORMS), ("citation-file-format", [ROOT / "CITATION.cff"])],
    ids=["workflows", "forms", "citation"],
)
def test_each_file_is_allowed_by_its_schema(schema, paths):
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_pins_its_actions_and_asks_for_little(path):
    text = path.read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action, _ in used), used
    assert all(re.fullmatch(r"  # v[0-9.]+", version) for _, version in used), "say which version a hash is"
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    allowed = {"publish": {"pages": "write", "id-token": "write"}, "release": {"contents": "write"}}
    for name, job in jobs(path).items():
        assert job.get("permissions", {}) == allowed.get(name, {}), name
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "a value in a shell line may be a command: pass it by env"
            if "checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_the_tests_run_on_every_python_from_the_oldest_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = jobs(ROOT / ".github/workflows/tests.yml")
    newest, oldest = found["newest"], found["oldest"]
    pythons = newest["strategy"]["matrix"]["python"] + [oldest["steps"][1]["with"]["python-version"]]
    assert sorted(pythons) == ["3.10", "3.11", "3.12", "3.13"] and project["requires-python"] == ">=3.10"
    install = oldest["steps"][2]["run"]
    for dependency in project["dependencies"][:2]:  # torch and numpy
        name, bound = dependency.split(">=")
        assert f'"{name}=={bound}.*"' in install


def test_the_citation_has_the_version_of_the_package_and_a_date():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version and re.fullmatch(r"20\d\d-\d\d-\d\d", str(citation["date-released"]))


def test_the_development_container_has_a_python_that_the_pinned_set_allows():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["image"].endswith(":3.11") and "make .venv/.installed" in container["postCreateCommand"]


def test_there_is_a_form_for_each_kind_of_issue():
    assert {path.stem for path in FORMS} == {"wrong_number", "unclear_page", "new_remedy"}


# -------------------------------------------------------------------------------------------------------- on Colab


def first_cells():
    """The first code cell of every page, by name."""
    for path in sorted((ROOT / "book").rglob("*.ipynb")):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        yield path.stem, "".join(cells[0]["source"])


def test_every_page_begins_with_the_same_cell_for_colab():
    found = dict(first_cells())
    assert len(set(found.values())) == 1, found.keys()
    installs = [line.split() for line in found["intro"].splitlines() if "%pip" in line]
    assert installs and all("--no-deps" in words and "-U" not in words for words in installs)


@pytest.mark.parametrize(
    "opened, expected",
    [
        (
            "fileId=https%3A%2F%2Fgithub.com%2Fsome-one%2Ffork%2Fblob%2Ftopic%2Fbook%2Fintro.ipynb",
            "some-one/fork@topic",
        ),
        ("fileId=1aBcD", "lbgap/lbgap@main"),  # from a drive
        (None, "lbgap/lbgap@main"),  # no such service
    ],
)
def test_the_cell_installs_the_package_of_the_fork_it_was_opened_from(opened, expected, monkeypatch):
    class Sessions(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/sessions" else 404)
            self.end_headers()
            self.wfile.write(json.dumps([{"id": "1", "path": opened, "name": "intro.ipynb"}]).encode())

        def log_message(self, *args):
            pass

    source = re.sub(r"%pip (.*)", r"said.append(f'\1')", dict(first_cells())["intro"])
    monkeypatch.setitem(sys.modules, "lbgap", None)  # not installed yet
    monkeypatch.delenv("COLAB_JUPYTER_IP", raising=False)
    said = []
    with http.server.HTTPServer(("127.0.0.1", 0), Sessions) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if opened:
            monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
            monkeypatch.setenv("KMP_TARGET_PORT", str(server.server_port))
        exec(source, {"said": said})
        server.shutdown()
    assert said[0].endswith(f"git+https://github.com/{expected}")

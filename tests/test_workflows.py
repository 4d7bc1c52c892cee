"""What runs on GitHub: files that its schemas allow, pinned actions, least permissions, and versions that agree."""

import re
import subprocess
import sys
import tomllib

import pytest
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


def test_there_is_a_form_for_each_kind_of_issue():
    assert {path.stem for path in FORMS} == {"wrong_number", "unclear_page", "new_remedy"}

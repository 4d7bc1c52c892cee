"""The page for a borrowed GPU: its very cells, at tiny scale on a CPU, in two sittings; and what they carry home is
taken in."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

PAGE = ROOT / "book" / "fill_the_store.ipynb"


def cells():
    page = json.loads(PAGE.read_text(encoding="utf-8"))
    assert page["metadata"]["mystnb"]["execution_mode"] == "off"  # a build has no GPU
    code = {
        c["id"]: "".join(c["source"])
        for c in page["cells"]
        if c["cell_type"] == "code" and "%pip" not in "".join(c["source"])
    }
    assert 'network, trial, device, budget = "C2", "0", "cuda", "3h"' in code["fill-3"]
    return code | {"fill-3": code["fill-3"].replace('"cuda", "3h"', '"cpu", budget')}


@pytest.mark.slow
def test_the_page_computes_a_pair_goes_on_and_its_bundle_is_merged(tmp_path):
    from lbgap import results

    code = "\n".join(["import sys", "budget = sys.argv[1]", *cells().values()])
    environment = {**os.environ, "LBGAP_SCALE": "tiny", "PYTHONPATH": str(ROOT), "LBGAP_COMMIT": "0" * 40}
    environment.pop("LBGAP_DATA", None)
    run = lambda command, **more: subprocess.run(
        [sys.executable, *command], env=environment | more, cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    first = run(["-c", code, "1s"])  # the sitting is cut short
    second = run(["-c", code, "9m"])
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "missing" in second.stdout and "C2" in second.stdout
    carried = [
        line for p in (tmp_path / "lbgap-results" / "home").glob("*.jsonl") for line in p.read_text().splitlines()
    ]
    specs = [json.loads(line)["spec"] for line in carried]
    assert {s["kind"] for s in specs} == {"train", "sharpness"} and len(specs) == len(carried) >= 4
    assert {s["run"]["network"] for s in specs} == {"C2"}
    merged = run(["-m", "lbgap", "merge", "lbgap-results/home"], LBGAP_RESULTS=str(tmp_path / "home store"))
    assert merged.returncode == 0 and f"{len(carried)} documents added" in merged.stdout, merged.stdout + merged.stderr
    store = results.Store(tmp_path / "home store", packaged=None)
    assert len(store.paths()) == len(carried) and not store.verify()

"""Run every notebook of the book as someone on Colab does: this Python's versions, an empty folder, this checkout's
package.

python tests/colab.py [NAME ...]
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main(names) -> int:
    import nbformat
    from nbclient import NotebookClient

    failed = []
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder, "site")  # upgrades nothing: --no-deps, as the first cell of each page does
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, ROOT], check=True
        )
        os.environ["PYTHONPATH"] = str(target)
        os.environ.setdefault("LBGAP_RESULTS", str(pathlib.Path(folder, "results")))
        for path in sorted((ROOT / "book").rglob("*.ipynb")):
            if names and path.stem not in names:
                continue
            empty = pathlib.Path(folder, path.stem)
            empty.mkdir()
            notebook, started = nbformat.reads(json.dumps(json.loads(path.read_text())), 4), time.time()
            try:
                NotebookClient(
                    notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": empty}}
                ).execute()
                said = "ran"
            except Exception as error:  # whatever a cell raises
                failed.append(path.stem)
                said = f"FAILED: {str(error)[-800:]}"
            print(f"{path.stem}: {said}, {time.time() - started:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

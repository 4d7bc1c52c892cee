"""Seconds to build the book strictly, from nothing (every notebook executed) and again with nothing changed.

    python benchmarks/book.py

Aims on two idle cores: cold at most 60 s, warm at most 5 s.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def seconds(output):
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        ROOT,
        "--path-output",
        output,
        "-W",
        "--keep-going",
        "-n",
    ]
    start = time.perf_counter()
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"the book does not build strictly:\n{done.stdout}")
    return time.perf_counter() - start, done.stdout.count("Executed notebook in")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as output:
        for name in ("cold", "warm"):
            took, executed = seconds(output)
            print(f"{name} build {took:6.1f} s, {executed} notebooks executed")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")

"""The live laboratory's ten pairs, seeds 100 to 109: seconds in this machine's Chromium, gap, contrast, and PyTorch's.

    python benchmarks/live_laboratory.py            trains them in the page, and compares with the stored ones
    python benchmarks/live_laboratory.py --store    trains them with lbgap and writes lbgap/explorers/live.json: minutes

Seconds are those from the start to the goal, both arms side by side, as a reader has them. Intervals are 95 %, paired,
of Student's t.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import numpy as np
from browser import in_the_page, open_browser, serve
from scipy import stats

from lbgap import results
from lbgap.explorers import oracle
from lbgap.explorers.live import module

FILE = ROOT / "lbgap" / "explorers" / "live.json"
TRAIN = """
const [setting, epsilons] = arguments, jobs = ["small", "large"].map((side) => ({ ...setting, batch: setting[side] }));
const all = await digits(), start = performance.now(), out = {};
const one = (job) => new Promise((end) => {
  const arm = { batch: job.batch, sharpness: {} };
  begin({ wasm: bytes(KERNELS), ...all, setting: job, epsilons }, (messages) => messages.forEach((m) => {
    if (m.end) Object.assign(arm, { epochs: m.epoch, f: m.loss, seconds: (performance.now() - start) / 1000 });
    if ("accuracy" in m) arm.accuracy = m.accuracy;
    if ("sharpness" in m) arm.sharpness[m.epsilon] = m.sharpness;
    if (m.over) end(arm);
  }));
});
return Promise.all(jobs.map(one));
"""


def pairs(driver, seeds) -> list[list[dict]]:
    """[small, large] of each seed, trained in the page."""
    return [
        in_the_page(driver, module(), TRAIN, oracle.SETTING | {"seed": seed}, list(oracle.EPSILONS)) for seed in seeds
    ]


def interval(values) -> str:
    """Mean and 95 % interval of paired differences."""
    mean, half = np.mean(values), stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def store():
    start, sides = (
        time.time(),
        {side: {"accuracy": [], "sharpness": [], "epochs": [], "f": []} for side in ("small", "large")},
    )
    for seed in oracle.STORED:
        for side, kept in sides.items():
            network, history = oracle.train(seed, oracle.SETTING[side])
            accuracy, sharp = oracle.measure(network)
            for name, value in (
                ("accuracy", accuracy),
                ("sharpness", sharp),
                ("epochs", len(history) - 1),
                ("f", history[-1]),
            ):
                kept[name].append(value)
            print(seed, side, round(accuracy, 2), [round(v, 2) for v in sharp], flush=True)
    told = results.provenance("cpu", time.time() - start, oracle.digits().checksum)
    document = {
        "setting": oracle.SETTING,
        "seeds": oracle.STORED,
        "epsilons": oracle.EPSILONS,
        **sides,
        "provenance": told,
    }
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help="train with lbgap and write live.json")
    parser.add_argument(
        "--seeds", type=int, nargs=2, default=(oracle.STORED[0], oracle.STORED[-1]), help="first and last"
    )
    given = parser.parse_args()
    if given.store:
        return store()
    seeds = range(given.seeds[0], given.seeds[1] + 1)
    # a page of its own: Chromium's first page refuses workers and WebAssembly
    with TemporaryDirectory() as folder, serve(folder) as url, open_browser() as driver:
        (Path(folder) / "page.html").write_text("<!doctype html><title>A page</title>", encoding="utf-8")
        driver.get(f"{url}/page.html")
        driver.set_script_timeout(600)
        found = []
        print(
            f"Chromium {driver.capabilities['browserVersion']}; "
            f"batch {oracle.SETTING['small']} | {oracle.SETTING['large']}"
        )
        print("seed   test accuracy, %   sharpness at 1e-3    at 3e-3          epochs      f at the end        seconds")
        for seed in seeds:
            (pair,) = pairs(driver, [seed])
            found.append(pair)
            a, b = pair
            print(
                f"{seed:4}   {a['accuracy']:6.2f} | {b['accuracy']:6.2f}   "
                f"{a['sharpness']['0.001']:6.3f} | {b['sharpness']['0.001']:6.3f}   "
                f"{a['sharpness']['0.003']:6.2f} | {b['sharpness']['0.003']:6.2f}   "
                f"{a['epochs']:3} | {b['epochs']:3}   "
                f"{a['f']:.5f} | {b['f']:.5f}   {a['seconds']:5.2f} | {b['seconds']:5.2f}",
                flush=True,
            )
    accuracy = np.array([[arm["accuracy"] for arm in pair] for pair in found])
    gap = accuracy[:, 0] - accuracy[:, 1]
    print(f"small over large, points: {interval(gap)}; small behind in {(gap < 0).sum()} of {len(gap)}")
    for epsilon in (1e-3, 3e-3):
        sharp = np.array([[arm["sharpness"][str(epsilon)] for arm in pair] for pair in found])
        print(f"log of sharpness, large over small, at {epsilon:g}: {interval(np.log(sharp[:, 1] / sharp[:, 0]))}")
    if tuple(seeds) == oracle.STORED:
        theirs = json.loads(FILE.read_text())
        for k, side in enumerate(("small", "large")):
            print(f"{side}, page less PyTorch, points: {interval(accuracy[:, k] - theirs[side]['accuracy'])}")
        theirs = np.subtract(theirs["small"]["accuracy"], theirs["large"]["accuracy"])
        print(f"gap, page less PyTorch, points: {interval(gap - theirs)}")


if __name__ == "__main__":
    main()

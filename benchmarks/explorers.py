"""How long from a slider's event to the changed page, for each explorer, in headless Chromium: aim at most 2 ms.

    python benchmarks/explorers.py

Each step moves the slider by one place and sends the event that a reader's hand sends, and ends when marker and caption
have
changed: `changed` is that time, `laid out` also makes the browser compute the new layout. `choice` is the same for a
change of arm, path or curve, which draws all charts anew. Median of 30, from one run.
"""

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).parent.parent / "tests"), str(Path(__file__).parent.parent)]

import numpy as np
from browser import open_browser, serve
from test_explorers import RUNTIME, page, wait

from lbgap.explorers import BatchSizeExplorer, EpsilonExplorer, PathExplorer

STEPS = """
const slider = document.querySelector(".lbg input[type=range]"), caption = document.querySelector(".lbg-caption");
const chart = document.querySelector(".lbg-plots"), changed = [], laid = [], choice = [];
const switches = [...document.querySelectorAll(".lbg fieldset input, .lbg select")];
for (let k = 0; k < 40; k++) {
  const before = caption.textContent, next = (+slider.value + 1) % (+slider.max + 1);
  let start = performance.now();
  slider.value = next;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  changed.push(performance.now() - start);
  chart.getBoundingClientRect(); caption.getBoundingClientRect();
  laid.push(performance.now() - start);
  if (caption.textContent === before) throw new Error("the caption did not change");
}
for (let k = 0; k < 40; k++) {
  const it = switches[k % 2 && switches.length > 1 && switches[0].type === "radio" ? 1 : 0], start = performance.now();
  if (it.type === "radio") it.click();
  else { it.selectedIndex = (it.selectedIndex + 1) % it.options.length;
    it.dispatchEvent(new Event("change", { bubbles: true })); }
  chart.getBoundingClientRect();
  choice.push(performance.now() - start);
}
return { changed: changed.slice(10), "laid out": laid.slice(10), choice: choice.slice(10) };
"""


def explorers():
    """As much data as the book's largest: 12 batch sizes x 10 trials x 2 arms, 2 paths x 61 points x 5 trials, 12 eps x
    4 curves."""
    random = np.random.default_rng(0)
    sizes = np.geomspace(16, 25000, 12).round()
    yield BatchSizeExplorer(
        sizes,
        90 + random.random((2, 12, 10)),
        np.exp(random.normal(size=(2, 12, 10))),
        arms=("without batch norm", "with"),
    )
    alpha = np.linspace(-1, 2, 61)
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    yield PathExplorer(
        {
            name: {"alpha": alpha, **{key: 50 * random.random((5, 61)) for key in names}}
            for name in ("linear", "curvilinear")
        }
    )
    yield EpsilonExplorer(
        np.geomspace(1e-5, 1e-1, 12),
        {
            f"curve {c}": {side: np.exp(3 * random.normal(size=(5, 12))) for side in ("small", "large")}
            for c in range(4)
        },
    )


def main():
    with TemporaryDirectory() as folder, serve(folder) as url, open_browser() as driver:
        (Path(folder) / RUNTIME.name).write_bytes(RUNTIME.read_bytes())
        print(f"Chromium {driver.capabilities['browserVersion']}, milliseconds, median of 30 (largest)")
        print(f"runtime {RUNTIME.stat().st_size:,} bytes")
        for explorer in explorers():
            (Path(folder) / "page.html").write_text(page(explorer), encoding="utf-8")
            driver.get(f"{url}/page.html")
            wait(driver, "return document.querySelector('.lbg-caption')?.textContent")
            times = {name: (median(v), max(v)) for name, v in driver.execute_script(STEPS).items()}
            words = "  ".join(f"{name} {mid:.1f} ({worst:.1f})" for name, (mid, worst) in times.items())
            print(
                f"{type(explorer).__name__:18} {words}  module {len(explorer._esm.encode()):,} bytes, picture"
                f" {len(explorer.png()):,}"
            )


if __name__ == "__main__":
    main()

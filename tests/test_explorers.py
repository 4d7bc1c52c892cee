"""The explorers: what they refuse, what travels, and what a reader with a keyboard sees in a page without a kernel."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from browser import complaints, open_browser, serve, size

anywidget = pytest.importorskip("anywidget")
import traitlets  # noqa: E402

from lbgap.explorers import BatchSizeExplorer, EpsilonExplorer, PathExplorer, SweepExplorer, ball  # noqa: E402

RUNTIME = Path(__file__).parent.parent / "book/live/anywidget-static.js"
STATE, VIEW = "application/vnd.jupyter.widget-state+json", "application/vnd.jupyter.widget-view+json"
NAN = np.nan

SIZES = [32, 256, 6000]
ACCURACY = np.array([[[90.0, 91.0], [98.2, 98.4], [88.0, NAN]], [[95.0, 95.0], [NAN, NAN], [94.0, 94.5]]])
SHARPNESS = np.array([[[2.0, 4.0], [11.0, 13.0], [1234.0, NAN]], [[1.0, 1.0], [NAN, NAN], [2.0, 2.5]]])
ARMS = ("without batch norm", "with batch norm")
ALPHA, OTHER_ALPHA = [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0], [0.0, 0.5, 1.0]
EPSILONS = [1e-4, 5e-4, 1e-3, 1e-2]


def along(alpha, trials=2):
    """Values that say where they come from: trial t, point i."""
    t, i = np.meshgrid(np.arange(trials), np.arange(len(alpha)), indexing="ij")
    loss = 0.1 + i + 10 * t
    return {
        "alpha": alpha,
        "train_loss": loss,
        "test_loss": 2 * loss,
        "train_accuracy": 90.0 - i - 10 * t,
        "test_accuracy": 80.0 - i - 10 * t,
    }


def batch_sizes(**change):
    return BatchSizeExplorer(
        **{"batch_sizes": SIZES, "accuracy": ACCURACY, "sharpness": SHARPNESS, "arms": ARMS, **change}
    )


def paths(**change):
    linear = along(ALPHA)
    linear["train_loss"][1, 3] = 0.0
    return PathExplorer(
        {"linear": {**linear, **change}, "curvilinear": along(OTHER_ALPHA)}, title="Between two minimisers"
    )


def epsilons(**change):
    curves = {
        "full space, best": {
            "small": [[1.0, 4.0, 10.0, 30.0], [1.0, 6.0, 14.0, 50.0]],
            "large": [[NAN, 100.0, 3000.0, 9000.0]],
        },
        "full space, literal": {"small": [[1.0, 2.0, 3.0, 4.0]], "large": [[0.0, 0.5, -0.25, 0.0]]},
    }
    curves["full space, best"].update(change)
    return EpsilonExplorer(EPSILONS, curves)


def sweeps(at=(1, 2, 4), **change):
    """SB 90.5 and LB 88.5 at the first place; 88 and 90, one trial, at the last; the second choice is not measured."""
    accuracy = [[[90, 91], [98.2, 98.4], [88, NAN]], [[88, 89], [95, 95], [90, NAN]]]
    sharpness = [[[2, 4], [11, 13], [4, NAN]], [[30, 30], [24, 24], [0, NAN]]]
    panels = {
        "test accuracy": {"values": [accuracy, np.full((2, 3, 2), NAN)], "percent": True, "short": "accuracy"},
        "sharpness": {"values": [sharpness, np.full((2, 3, 2), NAN)], "log": True},
    }
    panels |= change.pop("panels", {})
    words = {"label": "Epoch", "place": "after epoch {}", "series": ("SB", "LB"), "choices": ("first", "second")}
    return SweepExplorer(at, panels, **{"position": 0, **words, **change})


def three_of_three():
    """Three panels of three series at places with names, as large as a slider over the results gets."""
    values = np.arange(1.0, 4)[:, None, None] * np.arange(1.0, 6)[:, None] * (1, 1.1)
    panels = {"share": {"values": 4 * values[None], "percent": True}, "f": {"values": values[None]}}
    panels["sharpness"] = {"values": 10 ** values[None], "log": True, "label": "Sharpness at ε = 0.001"}
    names = ("15 epochs", "60 epochs", "loss 0.1", "loss 0.01", "equal updates")
    told = {"label": "How training ends", "place": "{}", "series": ("SB", "LB", "warm LB"), "names": names}
    return SweepExplorer(range(5), panels, **told)


MAKERS = [batch_sizes, paths, epsilons, sweeps, three_of_three]

# -------------------------------------------------------------------------------------------------- in Python


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: batch_sizes(accuracy=ACCURACY[0]),
            r"accuracy has shape \(3, 2\); expected \(2, 3, trials\).*every axis",
        ),
        (lambda: batch_sizes(accuracy=ACCURACY / 100), r"accuracy runs from 0.88 to 0.984; expected percent.*by 100"),
        (lambda: batch_sizes(accuracy=ACCURACY + 9), r"accuracy runs from .* to 107.4; expected percent"),
        (lambda: batch_sizes(sharpness=SHARPNESS * np.inf), r"sharpness holds an infinite value.*NaN"),
        (lambda: batch_sizes(sharpness=[[[1, 2], [3]]]), r"sharpness is not an array.*pad missing values with NaN"),
        (
            lambda: batch_sizes(batch_sizes=[256, 32, 6000]),
            r"batch_sizes is \[256.0, 32.0, 6000.0\]; expected strictly rising",
        ),
        (lambda: batch_sizes(batch_sizes=[0, 32, 6000]), r"batch_sizes starts at 0; expected positive"),
        (lambda: batch_sizes(arms="one"), r"arms is 'one'; expected a sequence.*arms=\('one',\)"),
        (lambda: batch_sizes(epsilon=0), r"epsilon is 0; expected a positive number"),
        (lambda: batch_sizes(paper={"accuracy": [1]}), r"paper is .* expected dict\(batch_sizes"),
        (
            lambda: batch_sizes(paper={"batch_sizes": [256], "accuracy": [98, 97]}),
            r"paper\['accuracy'\] has shape \(2,\); expected \(1,\)",
        ),
        (lambda: PathExplorer({}), r"paths is {}; expected a dict with at least one path"),
        (
            lambda: PathExplorer({"linear": {"alpha": ALPHA}}),
            r"paths\['linear'\] has \['alpha'\]; expected a dict with exactly the keys",
        ),
        (
            lambda: paths(test_loss=np.ones((3, 7))),
            r"paths\['linear'\]\['test_loss'\] has shape \(3, 7\); expected \(2, 7\)",
        ),
        (
            lambda: paths(test_accuracy=np.full((2, 7), 0.5)),
            r"\['test_accuracy'\] runs from 0.5 to 0.5; expected percent",
        ),
        (lambda: EpsilonExplorer([1e-3], {}), r"curves is {}; expected a dict with at least one curve"),
        (lambda: EpsilonExplorer([0, 1e-3], {"a": {}}), r"epsilons starts at 0; expected positive"),
        (lambda: epsilons(large=[1.0, 2.0, 3.0, 4.0]), r"\['large'\] has shape \(4,\); expected \(trials, 4\)"),
        (lambda: sweeps(at=(1, 1, 4)), r"at is \[1.0, 1.0, 4.0\]; expected strictly rising"),
        (lambda: sweeps(at=(0, 1, 4), log=True), r"at starts at 0; expected positive"),
        (
            lambda: sweeps(panels={"f": {"values": [1.0, 2.0, 3.0]}}),
            r"panels\['f'\]\['values'\] has shape \(3,\); expected \(2, 2, 3, trials\).*every axis",
        ),
        (
            lambda: sweeps(panels={"share": {"values": np.full((2, 2, 3, 1), 0.5), "percent": True}}),
            r"panels\['share'\]\['values'\] runs from 0.5 to 0.5; expected percent.*by 100",
        ),
        (lambda: sweeps(panels={"a": {}, "b": {}}), r"4 panels of 2 series; expected one to three of either"),
        (lambda: sweeps(series="SBLB"), r"series is .SBLB.; expected a sequence of at least one name"),
        (lambda: sweeps(names=("few", "many")), r"names is \('few', 'many'\); expected a sequence of 3 names"),
    ],
)
def test_wrong_input_is_named_with_expectation_and_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_arrays_travel_as_float32_with_nan():
    explorer = batch_sizes(paper={"batch_sizes": [256], "sharpness": [12]})
    assert len(explorer.values) == 4 * (12 + 12 + 1)
    back = explorer.arrays()
    np.testing.assert_array_equal(back["accuracy"], ACCURACY.astype(np.float32))
    np.testing.assert_array_equal(back["sharpness"], SHARPNESS.astype(np.float32))
    np.testing.assert_array_equal(back["paper_sharpness"], [12])
    json.dumps(explorer.meta, allow_nan=False)  # NaN is no JSON, and a browser would refuse the whole page's state


@pytest.mark.parametrize("make", MAKERS)
def test_travels_light_and_brings_a_picture(make):
    explorer = make()
    assert len(explorer._esm.encode()) < 15_500
    assert "</script" not in explorer._esm + explorer._css
    assert explorer._png is None, "the picture is drawn only when it is asked for"
    data, _ = explorer._repr_mimebundle_()
    assert data[VIEW]["model_id"] == explorer.model_id
    assert data["text/plain"] == repr(explorer) == explorer.summary
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    assert len(png) < 150_000


def test_displays_with_ipywidgets_7(monkeypatch):
    import ipywidgets
    from IPython.core.formatters import IPythonDisplayFormatter

    explorer = batch_sizes()
    for parent in (anywidget.AnyWidget, ipywidgets.Widget):
        monkeypatch.delattr(parent, "_repr_mimebundle_", raising=False)
    monkeypatch.setattr(
        ipywidgets.Widget, "_ipython_display_", lambda self: pytest.fail("without a picture"), raising=False
    )
    data, _ = explorer._repr_mimebundle_()
    assert data[VIEW]["model_id"] == explorer.model_id and data["image/png"]
    assert not IPythonDisplayFormatter()(explorer), "IPython must go on to the bundle"


def test_all_missing_is_shown_and_not_an_error():
    explorer = batch_sizes(accuracy=ACCURACY * NAN, sharpness=SHARPNESS * NAN)
    assert "not measured" in explorer.summary
    assert explorer.png()


# ---------------------------------------------------------------------------------------------- in the browser


def page(*widgets, views=None):
    """A page as the book's: the widgets' state, buffers apart, and a script for each view."""
    state = {}
    for widget in widgets:
        values = widget.get_state()
        buffer = {"path": ["values"], "encoding": "base64", "data": base64.b64encode(values.pop("values")).decode()}
        state[widget.model_id] = {
            "model_name": "AnyModel",
            "state": {k: v for k, v in values.items() if k != "layout"},
            "buffers": [buffer],
        }
    scripts = [f'<script type="{VIEW}">{json.dumps({"model_id": name})}</script>' for name in views or state]
    scripts.append(f'<script type="{STATE}">{json.dumps({"state": state})}</script>')
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title><script'
        ' src="anywidget-static.js"></script></head>'
    )
    return f"{head}<body style='margin: 8px'>{''.join(scripts)}</body></html>"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(RUNTIME, folder)
    with serve(folder) as url, open_browser(width=800) as driver:
        yield folder, url, driver


@pytest.fixture
def show(site):
    """show(widgets...) opens them in a page and returns the driver once they are drawn."""
    folder, url, driver = site
    size(driver, 800, 900)
    complaints(driver)  # those of the test before

    def open_page(*widgets, views=None):
        (folder / "page.html").write_text(page(*widgets, views=views), encoding="utf-8")
        driver.get(f"{url}/page.html")
        wait(
            driver,
            "return document.querySelectorAll('[data-ready]').length ==="
            " document.querySelectorAll('script[type*=view]').length",
        )
        wait(driver, "return [...document.querySelectorAll('.lbg-caption')].every((p) => p.textContent)")
        return driver

    return open_page


def test_a_module_of_its_own_file_is_fetched_when_the_reader_comes_near(site):
    """As the built book keeps large modules; also where the page is opened as a file, which may fetch nothing."""
    folder, url, driver = site
    widget = batch_sizes()
    text = page(widget)
    (folder / "module-1.js").write_text(f"document.currentScript.module = {json.dumps(widget._esm)};")
    text = text.replace(json.dumps(widget._esm), "null").replace('"_esm": null', '"_esm_file": "module-1.js"')
    text = text.replace("<body style='", "<body style='padding-top: 3000px; ")
    (folder / "late.html").write_text(text, encoding="utf-8")
    for address in (f"{url}/late.html", (folder / "late.html").as_uri()):
        driver.get(address)
        wait(driver, "return document.querySelector('.anywidget-static')?.textContent.includes('when you come near')")
        assert not driver.find_elements("css selector", 'script[src="module-1.js"]')
        driver.execute_script("document.querySelector('.anywidget-static').scrollIntoView()")
        wait(driver, "return document.querySelector('[data-ready] .lbg-caption')?.textContent")
        assert complaints(driver) == [] and "when you come near" not in driver.page_source
    (folder / "late.html").write_text(text.replace("module-1.js", "missing.js").replace("3000px", "0"))
    driver.get(f"{url}/late.html")
    wait(
        driver, "return document.querySelector('[role=alert]')?.textContent.includes('missing.js could not be loaded')"
    )
    complaints(driver)  # of the file that is missing


def wait(driver, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 5, poll_frequency=0.02).until(lambda d: d.execute_script(condition))


def keys(driver, *names, view=0):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    slider = driver.find_elements(By.CSS_SELECTOR, ".lbg input[type=range]")[view]
    slider.send_keys(*(getattr(Keys, name) for name in names))
    return slider


def pick(driver, name):
    """Press the radio button, or choose the option, of this name."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    for label in driver.find_elements(By.CSS_SELECTOR, "fieldset label"):
        if label.text.strip() == name:
            return label.click()
    for select in map(Select, driver.find_elements(By.CSS_SELECTOR, ".lbg select")):
        if name in [option.text for option in select.options]:
            return select.select_by_visible_text(name)
    raise AssertionError(f"nothing to choose is called {name!r}")


def caption(driver, view=0):
    return driver.execute_script("return document.querySelectorAll('.lbg-caption')[arguments[0]].textContent", view)


def reads(driver):
    """The numbers beside the marker, in the order of charts and series."""
    return driver.execute_script("return [...document.querySelectorAll('.read')].map((t) => t.textContent)")


def hand(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('.hand')].map((line) => +line.getAttribute('x1'))"
    )


def test_batch_size_follows_the_arrow_keys(show):
    driver = show(batch_sizes(paper={"batch_sizes": [256, 1024], "accuracy": [98.05, 97.0]}))
    # 6,000: one trial; against 32: 90.5 -> 88, 3 -> 1234
    assert reads(driver) == ["88 %", "", "1,230"]
    assert (
        caption(driver) == "Without batch norm, batch size 6,000: test accuracy 88 %, sharpness 1,230 (1 trial). "
        "Against batch size 32: accuracy 2.5 percentage points lower, sharpness 411 times as large."
    )
    before = hand(driver)
    slider = keys(driver, "ARROW_LEFT")
    assert slider.get_attribute("aria-valuetext") == "256"
    assert reads(driver) == ["98.3 %", "", "12"]
    assert (
        caption(driver) == "Without batch norm, batch size 256: test accuracy 98.3 ± 0.14 %, sharpness 12 ± 1.4 "
        "(mean ± standard deviation of 2 trials). Against batch size 32: accuracy 7.8 percentage points higher, "
        "sharpness 4 times as large. The paper: test accuracy 98.1 %."
    )
    assert all(now < then for now, then in zip(hand(driver), before, strict=True))
    keys(driver, "HOME")
    assert "batch size 32: test accuracy 90.5 ± 0.71 %, sharpness 3 ± 1.4" in caption(driver)
    assert complaints(driver) == []


def test_keys_stay_in_an_explorer_and_the_others_pass(show):
    """A notebook has shortcuts on its document: JupyterLab's arrow keys step from cell to cell, and c, d and x act."""
    from selenium.webdriver.common.keys import Keys

    driver = show(batch_sizes())
    driver.execute_script("window.heard = []; document.addEventListener('keydown', (e) => heard.push(e.key))")
    slider = keys(driver, "ARROW_RIGHT")
    slider.send_keys("dd", Keys.CONTROL + "s")
    assert driver.execute_script("return heard") == ["Control", "s"]


def test_batch_size_changes_arm_and_says_what_is_missing(show):
    driver = show(batch_sizes())
    line = "return document.querySelector('.line[d]:not(.lbg-legend *)').getAttribute('d')"
    before = driver.execute_script(line)
    pick(driver, "with batch norm")
    after = driver.execute_script(line)
    assert after != before
    assert after.count("M") == 2, "the missing batch size is a gap in the line"
    assert "With batch norm, batch size 6,000: test accuracy 94.3 ± 0.35 %" in caption(driver)
    keys(driver, "ARROW_LEFT")
    assert caption(driver) == "With batch norm, batch size 256: not measured."
    assert reads(driver) == ["", ""]
    assert complaints(driver) == []


def test_path_follows_slider_path_and_trial(show):
    driver = show(paths())
    # alpha = 0 is point 2; the mean of 2.1 and 12.1
    assert (
        caption(driver)
        == "α = 0 on the linear path, at the small batch (256) minimiser, mean of 2 trials: training loss 7.1, test"
        " loss 14.2; training accuracy 83 %, test accuracy 73 %."
    )
    keys(driver, "ARROW_RIGHT")
    pick(driver, "2")
    assert reads(driver) == ["train 0", "test 26.2", "train 77 %", "test 67 %"]
    assert caption(driver).startswith("α = 0.5 on the linear path, trial 2: training loss 0, test loss 26.2;")
    assert "grey floor line" in caption(driver)
    assert driver.execute_script("return document.querySelectorAll('.floor').length") == 1
    pick(driver, "linear")  # the path, already chosen: nothing changes
    driver.execute_script(
        "document.querySelectorAll('fieldset')[1].querySelectorAll('input')[1].click()"
    )  # linear loss axis
    assert driver.execute_script("return document.querySelectorAll('.floor').length") == 0
    assert "floor" not in caption(driver)
    pick(driver, "curvilinear")  # has points 0, 0.5, 1: stays at 0.5
    assert caption(driver).startswith("α = 0.5 on the curvilinear path, trial 2: training loss 11.1")
    slider = keys(driver, "ARROW_RIGHT", "ARROW_RIGHT")
    assert slider.get_attribute("aria-valuetext") == "1"
    assert "at the large batch (6,000) minimiser" in caption(driver)
    assert complaints(driver) == []


def test_epsilon_gives_ratio_floor_and_gap(show):
    driver = show(epsilons())
    assert reads(driver) == ["small batch 12", "large batch 3,000"]
    assert (
        caption(driver)
        == "Full space, best, ε = 0.001: sharpness: small batch 12 ± 2.8 (mean ± standard deviation of 2 trials), large"
        " batch 3,000 (1 trial). Large batch against small batch: sharpness 250 times as large."
    )
    keys(driver, "HOME")
    assert reads(driver) == ["small batch 1", ""]
    assert caption(driver).endswith("large batch not measured (mean ± standard deviation of 2 trials).")
    pick(driver, "full space, literal")
    assert reads(driver) == ["small batch 1", "large batch 0"]
    assert "times as large" not in caption(driver)
    assert caption(driver).endswith("Values of zero or less lie on the grey floor line.")
    keys(driver, "ARROW_RIGHT")
    assert caption(driver).endswith("Large batch against small batch: sharpness 0.25 times as large.")
    assert complaints(driver) == []


def test_sweep_compares_the_series_at_the_sliders_place(show):
    driver = show(sweeps())
    assert reads(driver) == ["SB 90.5 %", "LB 88.5 %", "SB 3", "LB 30"]
    assert (
        caption(driver)
        == "First, after epoch 1: test accuracy: SB 90.5 ± 0.71 %, LB 88.5 ± 0.71 %; sharpness: SB 3 ± 1.4, LB 30 ± 0"
        " (mean ± standard deviation of 2 trials). LB against SB: accuracy 2 percentage points lower, sharpness 10"
        " times as large."
    )
    assert driver.execute_script("return document.querySelectorAll('.floor').length") == 1
    slider = keys(driver, "END")
    assert slider.get_attribute("aria-valuetext") == "4"
    assert (
        caption(driver)
        == "First, after epoch 4: test accuracy: SB 88 %, LB 90 %; sharpness: SB 4, LB 0 (1 trial). LB against SB:"
        " accuracy 2 percentage points higher. Values of zero or less lie on the grey floor line."
    )
    pick(driver, "second")
    assert caption(driver) == "Second, after epoch 4: not measured." and reads(driver) == [""] * 4
    assert complaints(driver) == []


def test_sweep_has_names_for_places_and_compares_the_last_series_with_each_other(show):
    """Series k at place i has k (i + 1), and 1.1 times that in its second trial: means 1.05 k (i + 1)."""
    driver = show(three_of_three())
    names = "return [...document.querySelectorAll('.lbg-plots svg:last-child .soft')].map((t) => t.textContent)"
    assert {"15 epochs", "loss 0.1", "equal updates"} <= set(driver.execute_script(names))
    slider = keys(driver, "HOME", "ARROW_RIGHT")
    assert slider.get_attribute("aria-valuetext") == "60 epochs"
    said = caption(driver)
    assert said.startswith("60 epochs: share: SB 8.4 ± 0.57 %, LB 16.8 ± 1.1 %, warm LB 25.2 ± 1.7 %; f: SB 2.1 ± 0.14")
    assert " Warm LB against SB: share 17 percentage points higher, f 3 times as large, sharpness " in said
    assert " Warm LB against LB: share 8.4 percentage points higher, f 1.5 times as large, sharpness " in said
    assert complaints(driver) == []


@pytest.mark.parametrize("make", MAKERS)
def test_the_bare_module_renders_with_a_model_and_an_element_alone(site, make):
    """As any host of anywidget calls it: `render({ model, el })`, with the five methods that it promises."""
    folder, url, driver = site
    (folder / "bare.html").write_text('<!doctype html><html lang="en"><title>t</title><body></body></html>')
    complaints(driver)
    driver.get(f"{url}/bare.html")
    explorer = make()
    state = {k: v for k, v in explorer.get_state().items() if k not in ("values", "layout", "_esm", "_css")}
    script = """
        const [source, state, bytes] = arguments, heard = {};
        state.values = new DataView(Uint8Array.from(bytes).buffer);
        const model = { get: (key) => state[key], on: (name, f) => (heard[name] = f), off() {}, save_changes() {},
            set(key, value) { state[key] = value; heard[`change:${key}`]?.(); } };
        import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })))
            .then((module) => module.default.render({ model, el: document.body }));"""
    driver.execute_script(script, explorer._esm, state, list(explorer.values))
    wait(driver, "return document.querySelector('.lbg-caption')?.textContent")
    before = caption(driver)
    keys(driver, "ARROW_LEFT" if explorer.position else "ARROW_RIGHT")
    assert caption(driver) != before and complaints(driver) == []


def test_controls_have_names_and_pictures_have_words(show):
    driver = show(batch_sizes(), paths(), epsilons())
    nameless = "return [...document.querySelectorAll('.lbg input, .lbg select')].filter((c) => !c.labels.length).length"
    assert driver.execute_script(nameless) == 0
    charts = driver.execute_script(
        "return [...document.querySelectorAll('.lbg-plots svg')].map((s) => [s.getAttribute('role'),"
        " s.getAttribute('aria-label')])"
    )
    assert len(charts) == 5
    assert all(role == "img" and len(words) > 20 for role, words in charts)
    ids = driver.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    live = driver.execute_script("return [...document.querySelectorAll('[aria-live=polite]')].map((p) => p.className)")
    assert live == ["lbg-caption"] * 3
    # not by colour alone: dashes and shapes differ
    dashes = driver.execute_script(
        "return [...document.querySelectorAll('.lbg-legend .line')].map((p) => getComputedStyle(p).strokeDasharray)"
    )
    assert len(set(dashes[-2:])) == 2


@pytest.mark.parametrize("make", MAKERS)
def test_fits_a_phone(show, make):
    driver = show(make())
    size(driver, 360, 800)
    wait(
        driver, "return document.querySelector('.lbg-plots svg').getAttribute('width') < 360"
    )  # drawn anew, not only squeezed
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    outside = """return [...document.querySelectorAll('.lbg, .lbg *')].filter((e) => {
        const r = e.getBoundingClientRect(); return r.width && (r.right > 360.5 || r.left < -0.5) }).map((e) => e.outerHTML.slice(0, 90))"""
    assert driver.execute_script(outside) == []
    keys(driver, "END")
    assert driver.execute_script(outside) == [], "the value at the right edge is written to its left"
    size(driver, 390, 844)
    wait(
        driver, "return document.querySelector('.lbg-plots svg').getAttribute('width') > 350"
    )  # a bar to scroll takes 15
    deep = """const [whole, slider] = ['.lbg', '.lbg-slider input'].map((name) => document.querySelector(name).getBoundingClientRect());
        return slider.bottom - whole.top"""
    assert driver.execute_script(deep) < 844, "charts and slider are seen together"


def test_a_tap_in_the_chart_moves_the_slider(show):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    driver = show(batch_sizes())
    chart = driver.find_element(By.CSS_SELECTOR, ".lbg-plots svg")
    ActionChains(driver).move_to_element_with_offset(chart, -chart.size["width"] // 2 + 70, 0).click().perform()
    assert "batch size 32:" in caption(driver)
    assert driver.execute_script("return document.querySelector('input[type=range]').value") == "0"


def test_two_views_of_one_model_share_its_state(show):
    explorer = batch_sizes()
    driver = show(explorer, views=[explorer.model_id] * 2)
    keys(driver, "HOME", view=1)
    assert "batch size 32:" in caption(driver, 0)
    assert caption(driver, 0) == caption(driver, 1)


def test_dark_readers_see_the_themes_colour(show):
    driver = show(batch_sizes())
    driver.execute_script("document.body.style.setProperty('--pst-color-text-base', 'rgb(206, 214, 221)')")
    colours = (
        "return [getComputedStyle(document.querySelector('.lbg svg text')).fill,"
        " getComputedStyle(document.querySelector('.hand')).stroke]"
    )
    assert driver.execute_script(colours) == ["rgb(206, 214, 221)"] * 2


def test_failures_are_visible_in_the_page(show):
    broken, unknown = batch_sizes(), epsilons()
    broken._esm = "export default { render() { throw new Error('no such chart') } }"
    unknown._esm = ""
    driver = show(broken, unknown, views=[broken.model_id, "nowhere"])
    alerts = driver.execute_script("return [...document.querySelectorAll('[role=alert]')].map((p) => p.textContent)")
    assert alerts[0] == "This interactive figure could not be shown: no such chart"
    assert "no state for the model nowhere: run the notebook again" in alerts[1]
    assert len(complaints(driver)) == 2


class Promises(anywidget.AnyWidget):
    values = traitlets.Bytes().tag(sync=True)
    _css = ".lbg-caption { color: rgb(1, 2, 3); }"
    _esm = """
    const said = [];
    export default async () => ({
      initialize({ model }) { said.push("initialize"); model.set("n", 1); },
      render({ model, el }) {
        const f = () => said.push("n is " + model.get("n"));
        model.on("change:n", f); model.set("n", 2); model.set("n", 2); model.save_changes();
        model.off("change:n", f); model.set("n", 3);
        el.className = "lbg-caption"; el.textContent = said.join("; ");
      } });"""


def test_runtime_keeps_anywidgets_promises(show):
    driver = show(Promises())
    assert caption(driver) == "initialize; n is 2"
    assert (
        driver.execute_script("return getComputedStyle(document.querySelector('.lbg-caption')).color") == "rgb(1, 2, 3)"
    )


def test_arrays_may_lie_at_an_odd_place_in_a_message(show):
    # Jupyter hands out views into the whole message, which need not start at a multiple of four bytes
    explorer = batch_sizes()
    driver = show(explorer)
    script = """
        const [source, meta, bytes, done] = arguments;
        const buffer = new ArrayBuffer(bytes.length + 3), all = new Uint8Array(buffer);
        all.set(bytes, 3);
        const model = { get: (key) => ({ meta, values: new DataView(buffer, 3, bytes.length) })[key] };
        const module = import(URL.createObjectURL(new Blob([source + "\\nexport { arrays };"], { type: "text/javascript" })));
        module.then(({ arrays }) => done(arrays(model).sharpness[0]), (error) => done(String(error)));"""
    got = driver.execute_async_script(script, explorer._esm, explorer.meta, list(explorer.values))
    assert got == [[2, 4], [11, 13], [1234, None]]  # NaN is null in JSON


# ------------------------------------------------------------------------------------------ without JavaScript


def test_book_keeps_the_picture_for_readers_without_javascript():
    nodes = pytest.importorskip("docutils.nodes")
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    from lbgap.explorers.noscript import add_pictures

    def part(mime, child):
        return nodes.container("", child, mime_type=mime)

    document = new_document("page", get_default_settings(Parser))
    widget = part(VIEW, nodes.raw("", "<script></script>", format="html"))
    words = part("text/plain", nodes.literal_block("", "From 8\nto 32."))
    document += nodes.container(
        "", widget, part("image/png", nodes.image(uri="a.png")), words, nb_element="mime_bundle"
    )
    builder = type("Builder", (), {"format": "html"})
    add_pictures(type("App", (), {"builder": builder}), document)
    text = re.sub(r"\s+", " ", widget.pformat())
    assert re.search(r'<noscript> <image alt="From 8 to 32." uri="a.png"> .*</noscript>', text)


def test_noise_that_leaves_the_narrow_valley_seldom_leaves_the_wide_one():
    """What the page says of batch 16: of a hundred balls a third leave the narrow valley, and four the wide one."""
    uniform = np.array([ball.draw(1, k, np.arange(1, ball.STEPS + 1)) for k in range(100)]) / 2**32
    left = {}
    for start in (1.0, -1.0):
        x, gone = np.full(100, start), np.zeros(100, bool)
        for shake in uniform.T:
            pull = sum(np.exp(-((x - c) ** 2) / (2 * w**2)) * (x - c) / w**2 for c, w in ((-1, 0.7), (1, 0.1)))
            x = np.clip(x - 0.01 * (pull + 24 * np.sqrt(12 / 16) * (shake - 0.5)), -2.6, 1.3)
            gone |= (x < ball.border()) == (start > 0)
        left[start] = gone.sum()
    assert left == {1.0: 33, -1.0: 4}

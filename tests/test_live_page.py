"""The live laboratory and the balls as a reader meets them: keys, words, state, workers, fallbacks."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser import complaints, scheme, size
from conftest import ROOT
from test_explorers import caption, keys, page, show, site, wait  # noqa: F401

pytest.importorskip("anywidget")
from lbgap.explorers import BallExplorer, LiveLaboratory, ball  # noqa: E402

# Counts what the page asks of the browser; given before any script of the page runs.
WATCH = """
window.made = 0; window.ended = 0;
const Real = window.Worker;
if (Real) window.Worker = class extends Real {
  constructor(...given) { super(...given); window.made++; }
  terminate() { if (!this.over) window.ended++; this.over = true; super.terminate(); }
};
"""


def laboratory(**change):
    """The laboratory with short runs: three times through the images."""
    widget = LiveLaboratory()
    widget.meta = {**widget.meta, "epochs": 3, **change}
    return widget


@pytest.fixture
def watched(show):  # noqa: F811
    """show(...) with a script of ours run first."""
    drivers = []

    def open_page(*widgets, before=WATCH):
        driver = show()
        drivers.append(
            (driver, driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": before})["identifier"])
        )
        return show(*widgets)

    yield open_page
    for driver, identifier in drivers:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": identifier})
        scheme(driver, False)


def press(driver, name):
    from selenium.webdriver.common.by import By

    next(b for b in driver.find_elements(By.CSS_SELECTOR, ".lbg button") if b.text == name).click()


def finished(driver, pairs=1):
    text = "One pair proves little" if pairs == 1 else f"Of your {pairs} pairs"
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 120, poll_frequency=0.05).until(lambda d: text in caption(d))
    return caption(driver)


def test_a_pair_by_keyboard_alone(watched):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    driver = watched(laboratory())
    tab = lambda *keys: ActionChains(driver).send_keys(*keys).perform()
    focus = lambda: driver.execute_script("return document.activeElement.textContent || document.activeElement.type")
    assert "Predict first" in caption(driver) and not driver.find_elements("css selector", ".lbg-plots svg path")
    driver.execute_script("document.querySelector('.lbg-go').click()")
    assert "Predict first" in caption(driver), "no training before a prediction"
    tab(Keys.TAB)
    tab(Keys.SPACE)
    tab(Keys.ARROW_RIGHT)  # the large batch
    assert focus() == "radio"
    tab(Keys.TAB)
    assert focus() == "Go"
    tab(Keys.ENTER)
    wait(driver, "return [...document.querySelectorAll('.lbg input[type=radio]')].every((r) => r.disabled)")
    words = finished(driver)
    assert "of 4,000 new digits right" in words and "predicted" in words and "times as sharp" in words
    assert focus() == "Again", "whoever pressed it by keyboard stays where they are"
    tab(Keys.ENTER)
    assert "on average" in finished(driver, 2)
    keys(driver, "HOME", "ARROW_RIGHT")
    assert caption(driver).startswith("In a box of size ε = 0.0005 the loss rises from")
    assert driver.execute_script("return [window.made, window.ended]") == [4, 4], "every worker's memory is given back"
    asked = driver.execute_script("return performance.getEntriesByType('resource').map((r) => r.name)")
    assert [name.split("/")[-1] for name in asked if not name.startswith("blob:") and "favicon" not in name] == [
        "anywidget-static.js"
    ]
    assert complaints(driver) == []


def test_stop_and_a_new_set_up(watched):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    driver = watched(laboratory(epochs=3000, goal=1e-9))
    driver.find_element(By.CSS_SELECTOR, ".lbg input[type=radio]").click()
    press(driver, "Go")
    wait(driver, "return document.querySelectorAll('.lbg-plots svg .line').length >= 3")
    press(driver, "Stop")
    assert caption(driver).startswith("Stopped.")
    assert driver.execute_script("return [window.made, window.ended]") == [2, 2]
    driver.find_element(By.CSS_SELECTOR, ".lbg summary").click()
    Select(driver.find_elements(By.CSS_SELECTOR, ".lbg select")[0]).select_by_visible_text("16")
    assert caption(driver).startswith("The set-up has changed")
    assert complaints(driver) == []


def test_a_thousand_presses_at_random_leave_it_working(watched):
    """Whatever is pressed, whenever: afterwards a pair trains to its end, and no worker is left over."""
    driver = watched(laboratory(epochs=1))
    driver.set_script_timeout(60)
    done = driver.execute_async_script("""
      const done = arguments[0], root = document.querySelector('.lbg');
      root.querySelector('details').open = true;
      let state = 1, pressed = 0;
      const random = (n) => (state = (state * 48271) % 2147483647) % n;
      const one = () => {
        const all = [...root.querySelectorAll('button, input, select, summary')], it = all[random(all.length)];
        if (it.type === 'range') { it.value = random(9); it.dispatchEvent(new Event('input', { bubbles: true })); }
        else if (it.tagName === 'SELECT') { it.selectedIndex = random(it.options.length); it.dispatchEvent(new Event('change', { bubbles: true })); }
        else it.click();
        if (++pressed === 1000) return done(pressed);
        if (pressed % 25) one(); else setTimeout(one, random(3) ? 0 : 40);
      };
      one();""")
    assert done == 1000
    driver.execute_script("""const root = document.querySelector('.lbg'), stop = root.querySelectorAll('button')[1]; stop.click();
      root.querySelectorAll('select').forEach((s, i) => { s.selectedIndex = [1, 2, 1][i]; s.dispatchEvent(new Event('change')); });
      root.querySelectorAll('input[type=checkbox]').forEach((c) => c.checked && c.click());
      root.querySelector('input[type=radio]').click(); root.querySelector('.lbg-go').click();""")
    wait_long = "return document.querySelector('.lbg-go').textContent === 'Again' && document.querySelector('.lbg-go').getAttribute('aria-disabled') === 'false' && /new digits right/.test(document.querySelector('.lbg-caption').textContent)"
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 30, poll_frequency=0.05).until(lambda d: d.execute_script(wait_long))
    made, ended = driver.execute_script("return [window.made, window.ended]")
    assert made == ended > 2
    assert complaints(driver) == []


@pytest.mark.parametrize(
    "refused",
    [
        "delete window.Worker;",
        "window.Worker = class { constructor() { throw new Error('refused'); } };",
        "window.Worker = class { postMessage() { setTimeout(() => this.onerror({ preventDefault() {} })); } terminate() {} };",
        "delete window.Worker; delete window.WebAssembly;",
    ],
)
def test_where_workers_or_webassembly_are_refused_it_trains_in_the_page(watched, refused):
    driver = watched(laboratory(epochs=1, epsilons=[0.003], first=0), before=refused)
    driver.execute_script(
        "document.querySelector('.lbg input[type=radio]').click(); document.querySelector('.lbg-go').click()"
    )
    words = finished(driver)
    assert ("refuses WebAssembly" in words) == ("delete window.WebAssembly" in refused)
    assert complaints(driver) == []


def test_it_works_from_a_file(site):  # noqa: F811
    folder, _, driver = site
    (folder / "file.html").write_text(page(laboratory()), encoding="utf-8")
    driver.get(Path(folder, "file.html").as_uri())
    wait(driver, "return document.querySelector('.lbg-go')")
    driver.execute_script(
        "document.querySelector('.lbg input[type=radio]').click(); document.querySelector('.lbg-go').click()"
    )
    assert "refuses" not in finished(driver) and complaints(driver) == []


def test_less_motion_draws_only_when_an_arm_gets_on(watched):
    driver = watched(laboratory(epochs=200, goal=1e-9, epsilons=[0.003], first=0))
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    driver.execute_script("""window.drawn = 0; document.querySelector('.lbg input[type=radio]').click();
      document.querySelector('.lbg-go').click();""")
    import time

    time.sleep(1)  # epochs go by meanwhile
    assert driver.execute_script("return document.querySelectorAll('.lbg-plots svg .line').length") == 0
    press(driver, "Stop")


OUTSIDE = """return [...document.querySelectorAll('.lbg, .lbg *')].filter((e) => { const r = e.getBoundingClientRect();
    return r.width && (r.right > 360.5 || r.left < -0.5) }).map((e) => e.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("dark", [False, True])
def test_phone_schemes_and_axe(watched, dark):
    driver = watched(laboratory(), BallExplorer())
    size(driver, 360, 900)
    scheme(driver, dark)
    colour, ground = ("#ced6dd", "#14181e") if dark else ("#323232", "#ffffff")
    driver.execute_script(
        "for (const [k, v] of arguments[0]) document.body.style.setProperty(k, v); document.body.style.background = arguments[0][1][1]",
        [["--pst-color-text-base", colour], ["--pst-color-background", ground]],
    )
    driver.execute_script(
        "document.querySelector('details').open = true; document.querySelector('.lbg input[type=radio]').click(); document.querySelector('.lbg-go').click()"
    )
    finished(driver)
    wait(driver, "return [...document.querySelectorAll('.lbg-plots svg')].every((s) => s.getAttribute('width') < 360)")
    assert driver.execute_script(OUTSIDE) == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    assert (
        driver.execute_script(
            "return [...document.querySelectorAll('.lbg input, .lbg select')].filter((c) => !c.labels[0]?.textContent.trim()).length"
        )
        == 0
    )
    axe = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.exists():
        pytest.skip("AXE-CORE WAS NOT RUN: npm install --no-save axe-core, in the project's root, for this part")
    driver.execute_script(axe.read_text())
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run('.lbg').then(({ violations }) => done(violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 90))])))"
    )
    assert found == []


# ------------------------------------------------------------------------------------------------------ the balls


def test_the_balls_end_where_python_says(watched):
    driver = watched(BallExplorer())
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    for batch, place in ((1, 0), (8, 3), (64, 6)):
        keys(driver, "HOME", *["ARROW_RIGHT"] * place)
        press(driver, "Begin anew")
        seed = 1 + 1 + (1, 8, 64).index(batch)
        press(driver, "Roll")
        wide = int((ball.roll(batch, seed=seed) < ball.border()).sum())
        assert caption(driver) == (
            f"In the end, at batch {batch}, {wide} of 100 balls are in the wide valley, {100 - wide} in the narrow one."
        )
    assert complaints(driver) == []


def test_balls_roll_pause_and_are_told(watched):
    driver = watched(BallExplorer())
    press(driver, "Roll")
    wait(driver, "return /step [1-9]/.test(document.querySelector('.lbg-controls').textContent)")
    press(driver, "Pause")
    assert caption(driver).startswith("After ") and "steps, at batch 8" in caption(driver)
    told = caption(driver)
    press(driver, "Go on")
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda d: caption(d).startswith("In the end"))
    assert told != caption(driver)
    assert "step 3,000" in driver.find_element("css selector", ".lbg-controls").text
    driver.find_elements("css selector", ".lbg input[type=radio]")[1].click()  # one ball
    assert caption(driver) == "At the start, at batch 8, the ball is in the narrow valley."
    driver.execute_script(
        "for (let k = 0; k < 1000; k++) { const all = document.querySelectorAll('.lbg button, .lbg input'), it = all[(k * 7919) % 97 % all.length]; it.type === 'range' ? ((it.value = k % 9), it.dispatchEvent(new Event('input', { bubbles: true }))) : it.click(); }"
    )
    press(driver, "Begin anew")
    assert caption(driver).startswith("At the start") and complaints(driver) == []


def touch(driver, selector, share):
    """Put a finger on a drawing, at this share of its width, and draw it five pixels to the right."""
    box = driver.execute_script(
        "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'center' }); const { x, y, width, height } = e.getBoundingClientRect(); return [x, y, width, height];",
        selector,
    )
    for kind, right in (("touchStart", 0), ("touchMove", 5), ("touchEnd", None)):
        at = {"x": box[0] + share * box[2] + (right or 0), "y": box[1] + box[3] / 2}
        driver.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at] if right is not None else []}
        )


def test_balls_are_dragged_and_put_by_keyboard(watched):
    driver = watched(BallExplorer())
    assert driver.find_elements("css selector", ".lbg input[type=range]")[1].get_attribute("aria-valuetext") == "1"
    driver.find_elements("css selector", ".lbg input[type=radio]")[3].click()  # anywhere
    touch(driver, ".lbg-plots svg", 0.5)
    assert caption(driver) == "At the start, at batch 8, 100 of 100 balls are in the wide valley, 0 in the narrow one."
    assert driver.execute_script("return document.querySelectorAll('.lbg input[type=radio]')[2].checked"), "together"
    keys(driver, "END", view=1)
    assert caption(driver) == "At the start, at batch 8, 0 of 100 balls are in the wide valley, 100 in the narrow one."
    assert complaints(driver) == []


def test_the_walls_of_the_laboratory_are_dragged(watched):
    driver = watched(laboratory(epochs=1))
    driver.execute_script(
        "document.querySelector('.lbg input[type=radio]').click(); document.querySelector('.lbg-go').click()"
    )
    finished(driver)
    for share, size in ((0.98, "0.005"), (0.1, "0.005"), (0.55, "0.0005")):
        touch(driver, ".lbg-drag svg", share)
        assert caption(driver).startswith(f"In a box of size ε = {size} the loss rises"), share
    assert complaints(driver) == []


def test_what_the_page_says_of_the_balls():
    """Up to batch 8 most leave, at 16 few, from 32 on none; room alone would put five times as many in the wide valley."""
    shares = dict(zip(ball.BATCHES, BallExplorer().arrays()["shares"], strict=True))
    assert all(shares[batch] > 0.75 for batch in (1, 2, 4, 8)) and 0 < shares[16] < 0.25
    assert not any(shares[batch] for batch in ball.BATCHES if batch >= 32)
    assert (ball.border() - ball.RANGE[0]) / (ball.RANGE[1] - ball.border()) == pytest.approx(5, abs=0.5)
    (wide, _), (narrow, _) = ball.VALLEYS
    assert ball.loss(wide) == pytest.approx(ball.loss(narrow), abs=0.02)
    assert 0.7 < (ball.roll(256, anywhere=True) < ball.border()).mean() < 0.9  # as many as start there


def test_the_share_in_the_wide_valley_is_boltzmanns():
    """In the long run the share is that of exp(-f / T), T the noise's temperature rate noise^2 / (2 batch), summed over the valley."""
    x = np.linspace(*ball.RANGE, 4001)
    weight = np.exp(-ball.loss(x) / (ball.RATE * ball.NOISE**2 / (2 * 8)))
    share = weight[x < ball.border()].sum() / weight.sum()
    ends = ball.roll(8, 400)
    assert (ends < ball.border()).mean() == pytest.approx(share, abs=0.06)
    assert (ball.roll(64) > ball.border()).all()
    x = np.linspace(*ball.RANGE, 50)
    np.testing.assert_allclose(ball.slope(x), (ball.loss(x + 1e-6) - ball.loss(x - 1e-6)) / 2e-6, atol=1e-6)


def test_they_travel_light_with_a_picture_and_words():
    widget, rolled = LiveLaboratory(), BallExplorer()
    assert "times as sharp" in repr(widget) and widget.png().startswith(b"\x89PNG") and len(widget.png()) < 150_000
    assert "batch 8:" in repr(rolled) and rolled.png() and len(rolled._esm.encode()) < 20_000
    for one in (widget, rolled):
        json.dumps(one.meta, allow_nan=False)

"""The scoreboard's explorer: what it refuses, and what a reader with a keyboard sees in a page without a kernel."""

import json

import numpy as np
import pytest
from browser import complaints, size
from test_explorers import caption, hand, keys, pick, reads, show, site, wait  # noqa: F401

pytest.importorskip("anywidget")
from lbgap.explorers import ScoreboardExplorer  # noqa: E402

NAN = np.nan
NONE = [NAN, NAN, NAN]
GIVEN = {
    "remedies": ("plain SB", "SAM", "noise", "one trial", "pending"),
    "networks": ("mlp", "F1"),
    "gain": [
        [[2, 1.5, 2.5], [3, 2.5, 3.5], [-0.25, -1, 0.5], [1, NAN, NAN], NONE],
        [[0.5, 0.25, 0.75], [-1, -1.5, -0.5], NONE, NONE, NONE],
    ],
    "ratio": [
        [[0.5, 0.4, 0.625], [0.1, 0.05, 0.2], [2, 1, 4], NONE, NONE],
        [[0.01, 0.005, 0.02], [0.25, 0.125, 0.5], NONE, NONE, NONE],
    ],
    "left": [
        [[0, -0.5, 0.5], [-1, -1.5, -0.5], [2.25, 1.5, 3], [1, NAN, NAN], NONE],
        [[0, -0.1, 0.1], [1.5, 1, 2], NONE, NONE, NONE],
    ],
    "trials": [[5, 5, 5, 1, 0], [4, 3, 0, 0, 0]],
}


def board(**change):
    return ScoreboardExplorer(**GIVEN | change)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"remedies": "SAM"}, r"remedies is 'SAM'; expected a sequence of at least one name: remedies=\('SAM',\)"),
        ({"networks": ()}, r"networks is \(\); expected a sequence of at least one"),
        ({"gain": [[1, 2, 3]]}, r"gain has shape \(1, 3\); expected \(2, 5, 3\)"),
        ({"trials": [[1, 2, 3, 4, 5]]}, r"trials has shape \(1, 5\); expected \(2, 5\)"),
        ({"ratio": np.zeros((2, 5, 3))}, "ratio has 0; expected positive numbers"),
    ],
)
def test_wrong_input_is_named_with_expectation_and_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        board(**change)


def test_it_travels_light_with_a_picture_and_its_words():
    explorer = board()
    assert len(explorer._esm.encode()) < 15_000 and 10_000 < len(explorer.png()) < 150_000
    json.dumps(explorer.meta, allow_nan=False)
    np.testing.assert_array_equal(explorer.arrays()["gain"], np.float32(GIVEN["gain"]))
    assert "mlp: plain SB 2 points at 0.5 times the sharpness, SAM 3 points at 0.1" in repr(
        explorer
    ) and "pending" not in repr(explorer)
    empty = board(**{name: np.full((2, 5, 3), NAN) for name in ("gain", "ratio", "left")})
    assert "mlp: not measured; F1: not measured" in repr(empty) and empty.png()


def places(driver):
    """The chart's marks, (class, how many shapes), the reference lines and intervals left out."""
    return driver.execute_script(
        """return [...document.querySelectorAll('.lbg-plots path.dots, .lbg-plots path.hollow')]
        .map((p) => [p.getAttribute('class'), (p.getAttribute('d').match(/M/g) ?? []).length])"""
    )


def test_the_arrow_keys_go_through_the_remedies(show):  # noqa: F811
    driver = show(board())
    assert (
        caption(driver) == "Plain SB, mlp, 5 trials: 2 points (95 % interval 1.5 to 2.5) over plain LB, a gain. "
        "It ends 0.5 times as sharp as plain LB (95 % interval 0.4 to 0.625)."
    )
    assert reads(driver)[0] == "2 points" and places(driver) == [["dots s0", 1], ["hollow s1", 2], ["hollow s2", 0]]
    before = hand(driver)
    slider = keys(driver, "ARROW_RIGHT")
    assert slider.get_attribute("aria-valuetext") == "SAM" and hand(driver) < before
    assert (
        caption(driver)
        == "SAM, mlp, 5 trials: 3 points (95 % interval 2.5 to 3.5) over plain LB, a gain. It ends 0.1 times as sharp"
        " as plain LB (95 % interval 0.05 to 0.2). It is ahead of plain SB by 1 point (95 % interval 0.5 to 1.5)."
    )
    assert places(driver) == [["dots s0", 1], ["hollow s1", 1], ["hollow s2", 1]]
    assert len(driver.find_elements("css selector", ".lbg-plots path.line")) == 3  # nought, and both intervals
    keys(driver, "ARROW_RIGHT")
    assert "which these trials do not tell from 0. It ends 2 times as sharp" in caption(driver)
    assert "Plain SB is ahead of it by 2.25 points (95 % interval 1.5 to 3)." in caption(driver)
    keys(driver, "ARROW_RIGHT")
    assert (
        caption(driver)
        == "One trial, mlp, 1 trial: 1 point (no interval) over plain LB, which one trial leaves open. Its sharpness is"
        " not measured, so it has no place in the chart. Plain SB is ahead of it by 1 point (no interval)."
    )
    assert driver.execute_script("return document.querySelector('.hand').getAttribute('visibility')") == "hidden"
    keys(driver, "ARROW_RIGHT")
    assert caption(driver) == "Pending, mlp: not measured." and places(driver)[0] == ["dots s0", 0]
    assert complaints(driver) == []


def test_another_network_has_its_own_numbers(show):  # noqa: F811
    driver = show(board())
    keys(driver, "ARROW_RIGHT")
    pick(driver, "F1")
    assert caption(driver).startswith(
        "SAM, F1, 3 trials: −1 points (95 % interval −1.5 to −0.5) over plain LB, a loss. It ends 0.25 times"
    )
    assert reads(driver)[0] == "−1 points" and places(driver)[1:] == [["hollow s1", 0], ["hollow s2", 1]]
    assert complaints(driver) == []


def test_the_marks_lie_where_their_numbers_say(show):  # noqa: F811
    """Both axes are read back from the guide at 1, the line at 0, and two marks: logarithmic across, linear upwards."""
    driver = show(board())
    point = (
        "const [x, y] = document.querySelector('.lbg-plots .mark').getAttribute('d').match(/[-.0-9]+/g).map(Number);"
        " return [x + 5, y]"
    )
    at = {}
    for name in ("plain SB", "SAM", "noise"):
        at[name] = driver.execute_script(point)
        keys(driver, "ARROW_RIGHT")
    one = float(driver.execute_script("return document.querySelector('.guide').getAttribute('x1')"))
    (ax, ay), (bx, by), (cx, cy) = at.values()
    assert (bx - one) / (ax - one) == pytest.approx(np.log(0.1) / np.log(0.5), abs=0.02) and cx - one == pytest.approx(
        one - ax, abs=0.5
    )
    assert (by - cy) / (ay - cy) == pytest.approx(3.25 / 2.25, abs=0.02) and by < ay < cy


def test_a_tap_chooses_the_nearest_and_nothing_that_is_not_there(show):  # noqa: F811
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    ratio = [[NONE, *GIVEN["ratio"][0][1:]], GIVEN["ratio"][1]]
    driver = show(board(ratio=ratio))
    chart = driver.find_element(By.CSS_SELECTOR, ".lbg-plots svg")
    for to, words in ((-chart.size["width"] // 2 + 70, "SAM"), (chart.size["width"] // 2 - 20, "Noise")):
        ActionChains(driver).move_to_element_with_offset(chart, to, 0).click().perform()
        assert caption(driver).startswith(words + ", mlp")


def test_controls_have_names_and_it_fits_a_phone(show):  # noqa: F811
    driver = show(board())
    assert driver.execute_script(
        "return [...document.querySelectorAll('.lbg input')].map((c) => c.labels[0].textContent)"
    ) == ["mlp", "F1", "Remedy"]
    role, words = driver.execute_script(
        "const s = document.querySelector('.lbg-plots svg'); return [s.role, s.getAttribute('aria-label')]"
    )
    assert role == "img" and "a mark for each remedy" in words
    assert driver.execute_script("return document.querySelector('.lbg-caption').getAttribute('aria-live')") == "polite"
    size(driver, 360, 800)
    wait(driver, "return document.querySelector('.lbg-plots svg').getAttribute('width') < 360")
    outside = """return [...document.querySelectorAll('.lbg, .lbg *')].filter((e) => {
        const r = e.getBoundingClientRect(); return r.width && (r.right > 360.5 || r.left < -0.5) }).map((e) => e.outerHTML.slice(0, 90))"""
    for key in ("HOME", "ARROW_RIGHT", "ARROW_RIGHT", "END"):
        keys(driver, key)
        assert (
            driver.execute_script(outside) == []
            and driver.execute_script("return document.documentElement.scrollWidth") <= 360
        )


def test_dark_readers_see_the_themes_colour(show):  # noqa: F811
    driver = show(board())
    driver.execute_script("document.body.style.setProperty('--pst-color-text-base', 'rgb(206, 214, 221)')")
    colours = (
        "return [getComputedStyle(document.querySelector('.lbg svg text')).fill,"
        " getComputedStyle(document.querySelector('.hand')).stroke]"
    )
    assert driver.execute_script(colours) == ["rgb(206, 214, 221)"] * 2

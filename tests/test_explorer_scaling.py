"""Appendix C's explorer: what it refuses, and what a reader with a keyboard sees in a page without a kernel."""

import numpy as np
import pytest
from browser import complaints, size
from test_explorers import caption, hand, keys, reads, show, site  # noqa: F401

pytest.importorskip("anywidget")
from lbgap.explorers import ScalingExplorer  # noqa: E402


@pytest.mark.parametrize(
    "change, message",
    [
        ({"efficiencies": [0.5, 20]}, "efficiencies ends at 20; expected shares of perfect scaling, at most 1"),
        ({"efficiencies": [0.5, 0.2]}, r"efficiencies is \[0.5, 0.2\]; expected strictly rising"),
        ({"batch_ratios": [0.1, 10]}, "batch_ratio is 10.0; expected B_SB / B_LB, at most 1"),
        ({"iterations": [0, 1]}, "iterations starts at 0; expected positive"),
    ],
)
def test_wrong_input_is_named_with_expectation_and_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        ScalingExplorer(**change)


def test_it_holds_the_papers_model_and_begins_at_its_example():
    explorer = ScalingExplorer()
    assert len(explorer._esm.encode()) < 15_000 and 10_000 < len(explorer.png()) < 150_000
    f, b, i = (np.array(explorer.meta[name]) for name in ("efficiencies", "batch_ratios", "iterations"))
    times, even = explorer.arrays()["times"], explorer.arrays()["even"]
    # time is I B / (P f): LB's over SB's, by broadcasting
    np.testing.assert_allclose(times, i * f[:, None, None] / b[:, None], rtol=1e-6)
    assert (f[explorer.efficiency], b[explorer.batches], i[explorer.position]) == (0.2, 0.1, 0.5)
    assert (
        even[explorer.efficiency, explorer.batches] == 0.5
        and times[explorer.efficiency, explorer.batches, explorer.position] == 1
    )
    assert "0.5 times as many iterations" in repr(explorer)


def drawn(driver):
    """(the line, the guides' words) of the chart."""
    return driver.execute_script(
        """return [document.querySelector('.lbg-plots .line').getAttribute('d'),
        [...document.querySelectorAll('.lbg-plots text')].map((t) => t.textContent).filter((t) => t.startsWith('break-even'))]"""
    )


def test_three_sliders_move_the_line_the_break_even_and_the_hand(show):  # noqa: F811
    driver = show(ScalingExplorer())
    assert (
        caption(driver)
        == "With f = 0.2 and B_SB / B_LB = 0.1 the large batch breaks even at I_LB / I_SB = 0.1 / 0.2 = 0.5. "
        "With 0.5 times as many iterations as SB it takes exactly as long as SB: the break-even."
    )
    (line, words), before = drawn(driver), hand(driver)
    assert words == ["break-even 0.5"] and reads(driver) == ["1 times", ""]
    assert float(driver.execute_script("return document.querySelector('.guide').getAttribute('x1')")) == pytest.approx(
        before[0]
    )
    keys(driver, "ARROW_LEFT", view=2)  # the iterations: 0.3
    assert reads(driver) == ["0.6 times", ""] and hand(driver) < before and drawn(driver) == [line, words]
    assert caption(driver).endswith(
        "With 0.3 times as many iterations as SB it takes 0.6 times as long as SB: it pays."
    )
    slider = keys(driver, "ARROW_RIGHT", "ARROW_RIGHT", view=0)  # f: 0.5
    assert (
        slider.get_attribute("aria-valuetext") == "0.5"
        and drawn(driver)[0] != line
        and drawn(driver)[1] == ["break-even 0.2"]
    )
    assert caption(driver).endswith("it takes 1.5 times as long as SB: it does not pay.")
    slider = keys(driver, "END", view=1)  # the batches: 0.5
    assert slider.get_attribute("aria-valuetext") == "0.5" and drawn(driver)[1] == ["break-even 1"]
    assert reads(driver) == ["0.3 times", ""]
    assert complaints(driver) == []


def test_controls_have_names_and_the_picture_has_words(show):  # noqa: F811
    driver = show(ScalingExplorer())
    assert driver.execute_script(
        "return [...document.querySelectorAll('.lbg input')].map((c) => c.labels[0].textContent)"
    ) == ["SB's parallel efficiency f", "Batch sizes B_SB / B_LB", "Iterations I_LB / I_SB"]
    role, words = driver.execute_script(
        "const s = document.querySelector('.lbg-plots svg'); return [s.role, s.getAttribute('aria-label')]"
    )
    assert role == "img" and "ratio of their iterations" in words
    assert driver.execute_script("return document.querySelector('.lbg-caption').getAttribute('aria-live')") == "polite"


def test_the_break_even_is_readable_at_both_ends_on_a_telephone(show):  # noqa: F811
    driver = show(ScalingExplorer())
    size(driver, 360, 740)
    for ends in (("END", "HOME"), ("HOME", "END")):  # 0.01 and 10
        for view, key in enumerate(ends):
            keys(driver, key, view=view)
        left, right = driver.execute_script("""
            const r = [...document.querySelectorAll('.lbg-plots text')].find((t) => t.textContent.startsWith('break-even'));
            const box = r.getBoundingClientRect(), plot = document.querySelector('.lbg-plots').getBoundingClientRect();
            return [box.left - plot.left, plot.right - box.right]""")
        assert left >= 0 and right >= 0, ends
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360

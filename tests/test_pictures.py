"""The book's pictures: SVG as a part of its page, in the page's colours, each with alt text and a caption."""

import importlib.util
import json
import re
import xml.etree.ElementTree as ET

import docutils.utils
import matplotlib.pyplot as plt
import pytest
from conftest import ROOT
from docutils import nodes


def extension(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"book/_ext/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pictures = extension("pictures")

SVG = """<?xml version="1.0"?>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="432pt" height="216pt" viewBox="0 0 432 216"
 xmlns="http://www.w3.org/2000/svg"><metadata>who</metadata>
 <defs><path id="m1" style="stroke: #000000"/><clipPath id="c#1"/></defs>
 <g id="figure_1" clip-path="url(#c#1)"><use xlink:href="#m1" style="fill: #123f73"/>
 <text style="font: 10px 'DejaVu Sans', sans-serif">epsilon 0.0005</text>
 <text style="font-size: 10px; font-family: 'DejaVu Sans', sans-serif; text-anchor: middle">y</text></g></svg>"""


def test_a_picture_has_its_own_ids_the_page_s_colours_and_its_alt_text():
    one, two = (ET.fromstring(pictures.part_of_the_page(SVG, 'a "b" < c', n)) for n in (0, 1))
    ids = [{e.get("id") for e in picture.iter() if e.get("id")} for picture in (one, two)]
    assert len(ids[0]) == 2 and not ids[0] & ids[1]  # nothing refers to figure_1
    assert one.get("aria-label") == 'a "b" < c' and one.get("role") == "img"
    text = ET.tostring(one, encoding="unicode")
    assert "stroke: currentColor" in text and "fill: var(--0)" in text
    assert "DejaVu" not in text and "metadata" not in text and ">epsilon 0.0005<" in text
    used = next(e for e in one.iter() if e.tag.endswith("use"))
    assert used.get("{http://www.w3.org/1999/xlink}href")[1:] in ids[0]
    assert re.search(r"url\(#([^)]+)\)", text)[1] in ids[0]
    # 432 pt at 12 pt an em
    assert one.get("width") is None and one.get("style") == "width: 36.0em; --0: var(--c-123f73, #123f73)"


def test_a_picture_loses_groups_that_say_nothing_and_no_mark():
    groups = SVG.replace("<use", "<g>\n<!-- a tick -->\n<g>\n<use").replace('#123f73"/>', '#123f73"/>\n</g>\n</g>\n')
    whole, bare = (pictures.part_of_the_page(svg, "", 0) for svg in (groups, SVG))
    count = lambda text: [sum(e.tag.endswith(tag) for e in ET.fromstring(text).iter()) for tag in ("}g", "}use")]
    assert count(groups) == [3, 1] and count(whole) == count(bare) == [1, 1] and "tick" not in whole


def saved(figure, path):
    with plt.rc_context({"svg.fonttype": "none"}):
        figure.savefig(path)
    plt.close(figure)
    return path.read_text()


def test_what_matplotlib_draws_can_be_laid_in(tmp_path):
    figure, ax = plt.subplots(facecolor="white")
    ax.plot([0, 1], [0, 1], "o-", color="#c1440e", mfc="white", label="$x^2$")
    ax.legend()
    laid = pictures.part_of_the_page(saved(figure, tmp_path / "a.svg"), "a line", 3)
    left = re.sub(r"var\(--c-[0-9a-f]{6}, #[0-9a-f]{6}\)", "", laid)
    assert not re.findall(r"#[0-9a-f]{6}\b", left), "a colour that the page cannot change"
    names = {e.get("id") for e in ET.fromstring(laid).iter()}
    assert set(re.findall(r"""(?:href="|url\()#([^")]+)""", laid)) <= names


def test_panels_side_by_side_can_be_seen_one_by_one(tmp_path):
    """Each where matplotlib itself says that it draws it."""
    figure, axes = plt.subplots(2, 2, figsize=(6, 5), layout="constrained")
    for k, ax in enumerate(axes.flat):
        ax.plot([1, 10], [1, 1000], label="a line")
        ax.set(
            title=f"panel {k}", ylabel="words that\nstand in two lines", xlabel="batch size", yscale="log", xscale="log"
        )
    axes[0, 1].twinx().plot([1, 10], [5, 6])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center")
    figure.draw_without_rendering()
    bounds = [ax.get_tightbbox().transformed(figure.dpi_scale_trans.inverted()) for ax in figure.axes]
    found = pictures.panels(saved(figure, tmp_path / "a.svg"))
    assert [ids for _, ids in found] == [["axes_1"], ["axes_2", "axes_5"], ["axes_3"], ["axes_4"], ["legend_1"]]
    for (left, top, width, height), ids in found[:-1]:
        for box in (bounds[int(id[-1]) - 1] for id in ids):
            assert left - 1 < 72 * box.x0 and 72 * box.x1 < left + width + 1
            assert top - 1 < 360 - 72 * box.y1 and 360 - 72 * box.y0 < top + height + 1
    page = ET.fromstring(pictures.part_of_the_page((tmp_path / "a.svg").read_text(), "four", 3))
    assert (page.tag, page.get("role"), page.get("aria-label"), len(page)) == ("div", "img", "four", 6)
    ids = {e.get("id") for e in page.iter()}
    assert {e.get("href")[1:] for panel in page[1:] for e in panel} <= ids
    assert not [e for picture in page for e in picture.iter() if e is not picture and "--0" in e.get("style", "")[:3]]


def test_panels_that_need_one_another_stay_together(tmp_path):
    for name, shared in (("own", False), ("one axis for both", True)):
        figure, axes = plt.subplots(1, 2, sharey=shared, layout="constrained")
        assert bool(pictures.panels(saved(figure, tmp_path / "a.svg"))) != shared, name
    figure, _ = plt.subplots(2, 1)
    assert pictures.panels(saved(figure, tmp_path / "a.svg")) == pictures.panels(SVG) == []


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_picture_has_alt_text_and_a_caption(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        told = cell["metadata"].get("mystnb", {})
        if "image" in told or "figure" in told:
            assert told["image"]["alt"] and told["figure"]["caption"] and told["figure"]["name"].startswith("fig-")


def test_every_colour_of_the_figures_shows_on_a_dark_page():
    css = (ROOT / "book/_ext/static/book.css").read_text(encoding="utf-8")
    dark = css[css.index('html[data-theme="dark"]') :]
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "lbgap/figures").glob("*.py"))
    fine = {"#e08a3c", "#2f9e8f"}  # 3:1 on either ground
    for color in set(re.findall(r'"(#[0-9a-f]{6})"', code)) - fine:
        assert f"--c-{color[1:]}:" in dark, color


def test_the_printed_book_is_unfolded_and_has_pictures_in_place_of_scripts():
    page = """<title>A book</title><nav>menu</nav><article><h1>One</h1><script>run()</script>
    <noscript><img src="a.png" alt="a slider"></noscript><details><summary>How sure</summary>95 %</details>
    <div class="panels"><svg class="picture whole"></svg><svg class="picture panel"></svg></div>
    <img src="b.png" loading="lazy"></article><footer>foot</footer>"""
    text = extension("pdf").printable(page)
    assert "<title>A book</title>" in text and "One" in text and '<details open="">' in text
    assert '<img alt="a slider" src="a.png"/>' in text
    assert not [word for word in ("script", "menu", "foot", "lazy", "picture panel") if word in text]
    assert "picture whole" in text


def test_what_is_not_measured_has_no_caption():
    document = docutils.utils.new_document("page")
    picture = nodes.figure("", nodes.image(uri="a.svg", alt="a"), nodes.caption("", "Look"))
    sentence = nodes.figure("", nodes.paragraph("", "Not measured yet."), nodes.caption("", "Look"))
    document += [picture, nodes.container("", sentence)]
    pictures.without_a_caption_of_nothing(None, document)
    assert document.children[0] is picture and len(picture.children) == 2
    assert document.children[1].astext() == "Not measured yet."

"""Figures as parts of their page: SVG that takes its colours from the page, light or dark.

The kernels that execute the book draw SVG; a reader's own Jupyter keeps its setting. Each picture is laid into its
page, with its alt text, and every colour that matplotlib wrote becomes a variable of book.css with that colour as it
was.

Panels that stand side by side can also be seen each by itself: on a telephone book.css shows them so, one below the
other, in place of the whole.
"""

import html
import itertools
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from docutils import nodes

KERNEL = """c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.rc = {"svg.fonttype": "none", "svg.hashsalt": "lbgap"}
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
c.HistoryManager.enabled = False
"""


def draw_svg(app, config):
    profile = Path(app.outdir).resolve().parent / ".ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(KERNEL, encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(profile.parent)  # the kernels inherit it


def panels(svg: str) -> list[tuple[tuple, list[str]]]:
    """Each panel of a picture, and its legend: (left, top, width, height) and the ids of its groups.

    None where no two stand side by side, where one has no numbers of its own on its upright axis, or where there is
    more than panels and a legend.
    """
    root = ET.fromstring(svg)
    figure = root.find("*[@id='figure_1']")
    if figure is None:
        return []
    groups = {g.get("id", ""): g for g in figure}
    legend = [id for id in groups if id.startswith("legend_")]
    other = [id for id in groups if not id.startswith(("axes_", "legend_", "patch_1"))]
    if other or not all(g.find("*[@id]/{*}path") is not None for g in figure if g.get("id") != "patch_1"):
        return []
    found = {}  # axes that share a frame are one panel
    for id in groups:
        if id.startswith("axes_"):
            found.setdefault(_frame(groups[id]), []).append(id)
    inks = {frame: [box for id in ids for box in _words(groups[id])] for frame, ids in found.items()}
    outside = lambda frame, box: (box[1] <= frame[0] or box[0] >= frame[1]) and frame[2] < sum(box[2:]) / 2 < frame[3]
    alone = all(any(outside(frame, box) for box in inks[frame]) for frame in found)
    if len({frame[0] for frame in found}) < 2 or not alone:
        return []
    *_, width, height = map(float, root.get("viewBox").split())
    low = min([_frame(groups[id])[2] for id in legend], default=height)

    def edges(one, other, last):
        """Between what begins at one place and what begins at the next: midway between all that they draw."""
        starts = sorted({frame[one] for frame in found})
        ends = [0]
        for here, there in itertools.pairwise(starts):
            before = [box[other] for f in found if f[one] == here for box in (f, *inks[f])]
            after = [box[one] for f in found if f[one] == there for box in (f, *inks[f])]
            ends.append((max(before) + min(after)) / 2)
        return dict(zip(starts, itertools.pairwise([*ends, last])))

    across, down = edges(0, 1, width), edges(2, 3, low)
    cells = [(*across[frame[0]], *down[frame[2]], ids) for frame, ids in found.items()]
    if any(right - left < 60 or bottom - top < 60 for left, right, top, bottom, _ in cells):
        return []  # no grid of panels
    cells = sorted(cells, key=lambda cell: (cell[2], cell[0])) + [(*_frame(groups[id]), [id]) for id in legend]
    return [((left, top, right - left, bottom - top), ids) for left, right, top, bottom, ids in cells]


def _frame(group: ET.Element) -> tuple:
    """(left, right, top, bottom) of a group's frame: its last patches, since a second axis has no ground of its own."""
    patches = [child for child in group if child.get("id", "").startswith("patch_")][-4:]
    paths = [path.get("d") for patch in patches for path in patch.iter() if path.tag.endswith("path")]
    places = re.findall(r"(-?[\d.]+) (-?[\d.]+)", " ".join(paths))
    x, y = ([round(float(place[k]), 1) for place in places] for k in (0, 1))
    return min(x), max(x), min(y), max(y)


def _words(group: ET.Element) -> list[tuple]:
    """(left, right, top, bottom) of each text of a group, about: a letter is taken for six tenths of its height."""
    above, out = {child: parent for parent in group.iter() for child in parent}, []
    for text in (e for e in group.iter() if e.tag.endswith("}text")):
        turned = text.get("transform", "")
        moved = re.search(r"translate\((-?[\d.]+)[ ,](-?[\d.]+)\)", turned or above[text].get("transform", ""))
        x, y = map(float, moved.groups() if moved else (text.get("x"), text.get("y")))
        size = float(re.search(r"([\d.]+)px", ET.tostring(text, encoding="unicode"))[1])
        long = 0.6 * size * len(re.sub(r"\n\s*", "", "".join(text.itertext())))
        anchor = re.search(r"text-anchor: (\w+)", text.get("style", ""))
        before = long * {"middle": 1 / 2, "end": 1}.get(anchor and anchor[1], 0)
        if "rotate(-90" in turned:
            out.append((x - size, x, y + before - long, y + before))
        else:
            out.append((x - before, x - before + long, y - size, y))
    return out


def part_of_the_page(svg: str, alt: str, number: int) -> str:
    """A picture as an element of a page that may hold others: ids of its own, the page's width at most, its colours."""
    svg = svg[svg.index("<svg") :]
    single = "".join(
        f'<svg class="picture panel" aria-hidden="true" style="width: {box[2] / 12:.1f}em" viewBox="'
        f'{" ".join(map(str, box))}">{"".join(f"""<use href="#{id}"/>""" for id in ids)}</svg>'
        for box, ids in panels(svg)
    )
    svg += single
    svg = _bare(re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->\n?|(?<=\n) +", "", svg, flags=re.DOTALL))
    names = dict(zip(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg)), itertools.count()))
    own = lambda found: f"{found[1]}p{number}-{names[found[2]]}{found[3]}" if found[2] in names else found[0]
    svg = re.sub(r'(\bid=")([^"]+)(")', own, svg)
    svg = re.sub(r'(href="#)([^"]+)(")', own, svg)
    svg = re.sub(r"(url\(#)([^)]+)(\))", own, svg)
    svg = re.sub("<[^>]+>", _coarse, svg)
    svg = re.sub(r" ?\n([LCQ]) (?=-?\d)", r"\1", svg)  # the places of a line, without a line each
    svg = re.sub(r"#(?:000000|000)\b", "currentColor", svg)
    colors = dict.fromkeys(re.findall(r"#([0-9a-f]{6})\b(?!-)", svg))
    for k, color in enumerate(colors):  # told once, since a picture has hundreds of marks
        svg = re.sub(rf"#{color}\b", f"var(--{k})", svg)
    told = "".join(f"; --{k}: var(--c-{color}, #{color})" for k, color in enumerate(colors))
    svg = re.sub(r"font-family: [^;\"]*;? ?|'[^']+'(?:, '[^']+')*, (?=sans-serif)", "", svg)
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    says = f'role="img" aria-label="{html.escape(alt)}"'
    if not single:
        return svg.replace("<svg", f'<svg class="picture" {says} style="width: {width / 12:.1f}em{told}"', 1)
    whole = svg.replace("<svg", f'<svg class="picture whole" aria-hidden="true" style="width: {width / 12:.1f}em"', 1)
    return f'<div class="panels" {says} style="{told[2:]}">{whole}</div>'


def _bare(svg: str) -> str:
    """Without the ids that nothing refers to, and without groups that say nothing."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    empty = re.compile(r"<g>\n((?:<(?:use|path)\b[^<]*/>\n)*)</g>\n")
    while empty.search(svg):
        svg = empty.sub(r"\1", svg)
    return svg


def _coarse(tag: re.Match) -> str:
    """A tag, with places as they are seen; words stand between tags, and keep their numbers."""
    coarse = re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0])  # less than a hundredth of a point is not seen
    return re.sub(r"(?<=[ LM])(\d{2,}\.\d)\d\b", r"\1", coarse)  # nor, of a place, than a tenth


def without_a_caption_of_nothing(app, doctree):
    """What is not measured is a sentence, and MyST-NB gives it the picture's caption all the same."""
    for figure in list(doctree.findall(nodes.figure)):
        if not list(figure.findall(nodes.image)):
            figure.replace_self([child for child in figure.children if not isinstance(child, nodes.caption)])


def lay_in(app, doctree, docname):
    pictures = [image for image in doctree.findall(nodes.image) if image["uri"].endswith(".svg")]
    for number, image in enumerate(pictures):
        path = Path(app.srcdir, image["uri"])
        svg = part_of_the_page(path.read_text(encoding="utf-8"), image.get("alt", ""), number)
        image.replace_self(nodes.raw("", svg, format="html"))


def setup(app):
    app.connect("config-inited", draw_svg)
    app.connect("doctree-read", without_a_caption_of_nothing, priority=100)  # before figures are numbered
    app.connect("doctree-resolved", lay_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

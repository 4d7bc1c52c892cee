"""Figures as parts of their page: SVG that takes its colours from the page, light or dark.

The kernels that execute the book draw SVG; a reader's own Jupyter keeps its setting. Each picture is laid into its page,
with its alt text, and every colour that matplotlib wrote becomes a variable of book.css with that colour as it was.
"""

import html
import itertools
import os
import re
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


def part_of_the_page(svg: str, alt: str, number: int) -> str:
    """A picture as an element of a page that may hold others: ids of its own, the page's width at most, its colours."""
    svg = svg[svg.index("<svg") :]
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
    head = f'<svg class="picture" role="img" aria-label="{html.escape(alt)}" style="width: {width / 12:.1f}em{told}"'
    return svg.replace("<svg", head, 1)


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

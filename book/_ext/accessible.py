"""What the theme's pages lack for a reader who listens to them: names, landmarks, and roles that are still in use."""

import re
from pathlib import Path

MENDED = (
    # an arrow that unfolds pages of the menu has no name
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="The pages below it">'),
    # it shows "Search" and a key: a name of its own hides the key
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'<div id="pst-primary-sidebar"(?! role)', '<div id="pst-primary-sidebar" role="region" aria-label="The book"'),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),  # it has words of its own
    (r'role="doc-biblioentry"', 'role="listitem"'),  # deprecated, and no child of a list
    (r'<th class="head">(?:<p></p>)?</th>', '<td class="head"></td>'),  # an empty head names nothing
)


def accessible(text: str) -> str:
    """A page of the theme's, mended."""
    for what, instead in MENDED:
        text = re.sub(what, instead, text)
    return text


def mend(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            if (mended := accessible(text)) != text:
                page.write_text(mended, encoding="utf-8")


def setup(app):
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

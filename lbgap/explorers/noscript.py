"""Sphinx extension: under each widget of the book, the picture of its output for readers whose browser runs no
JavaScript.

A notebook output that holds a widget and a PNG shows only the widget in HTML. Here the picture goes into a <noscript>
below the widget's script, where a browser with JavaScript neither shows nor loads it; its alternative text is the
output's plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def add_pictures(app: Sphinx, doctree: nodes.document) -> None:
    """Put the picture of each widget's output below it.

    Args:
        app: Sphinx, whose HTML builder alone needs them.
        doctree: of a page.
    """
    if app.builder.format != "html":
        return
    for bundle in list(doctree.findall(nodes.container)):
        if bundle.get("nb_element") != "mime_bundle":
            continue
        parts = {part.get("mime_type"): part for part in bundle.children}
        widget, picture = parts.get("application/vnd.jupyter.widget-view+json"), parts.get("image/png")
        image = next(picture.findall(nodes.image), None) if picture is not None else None
        if widget is None or image is None:
            continue
        words = parts.get("text/plain")
        image = image.deepcopy()
        image["alt"] = " ".join(words.astext().split()) if words is not None else "The interactive figure as a picture."
        widget += [nodes.raw("", "<noscript>", format="html"), image, nodes.raw("", "</noscript>", format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx call `add_pictures` for every page."""
    app.connect("doctree-read", add_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

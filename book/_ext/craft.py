"""What a published site needs beside its pages: cards and descriptions, one address a page, a map, a page for lost
readers.

The address is GitHub Pages' of the repository that is built, so that a fork's site names itself.
"""

import html
import os
import re
import shutil
from pathlib import Path

from docutils import nodes

CARD, ALT = "book/images/phenomenon.png", "Test accuracy falls and sharpness rises with the batch size"
LOST = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page - {title}</title>
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">
</head><body style="font: 1.1em/1.6 system-ui, sans-serif; max-width: 36em; margin: 4em auto; padding: 0 1em">
<h1>No such page</h1>
<p>It may have moved. Begin at <a href="{address}">{title}</a>, or <a href="{address}search.html">search</a>.</p>
</body></html>
"""


def name_the_address(app, config):
    owner, repository = config.html_theme_options["repository_url"].rsplit("/", 2)[1:]
    repository = "" if repository == f"{owner}.github.io" else f"{repository}/"
    config.html_baseurl = config.html_baseurl or f"https://{owner.lower()}.github.io/{repository}"


def opening(doctree) -> str:
    """The first paragraph of a page, as plain text of at most 200 characters."""
    first = next(iter(doctree.findall(nodes.paragraph)), None) if doctree else None
    text = re.sub(r"\s+", " ", first.astext() if first else "").strip()
    return text if len(text) <= 200 else text[:200].rsplit(" ", 1)[0] + " ..."


def cards(title, said, address, base) -> str:
    image = base + Path(CARD).name
    tags = {"og:title": title, "og:description": said, "og:type": "article", "og:url": address, "og:image": image}
    lines = [
        f'<meta property="{name}" content="{html.escape(text)}">'
        for name, text in (tags | {"og:image:alt": ALT}).items()
    ]
    lines += ['<meta name="twitter:card" content="summary_large_image">']
    return "\n".join([f'<meta name="description" content="{html.escape(said)}">', *lines])


def describe(app, pagename, templatename, context, doctree):
    if doctree is not None:
        base = app.config.html_baseurl
        title = re.sub(r"<[^>]+>", "", html.unescape(context["title"]))
        context["metatags"] += cards(title, opening(doctree), f"{base}{pagename}.html", base)


def finish(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    out, base, title = Path(app.outdir), app.config.html_baseurl, app.config.project
    pages = "".join(f"<url><loc>{base}{page}.html</loc></url>\n" for page in sorted(app.env.found_docs))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    (out / "sitemap.xml").write_text(f"{head}{pages}</urlset>\n", encoding="utf-8")
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n", encoding="utf-8")
    (out / "404.html").write_text(LOST.format(title=title, address=base), encoding="utf-8")
    (out / ".nojekyll").touch()  # GitHub Pages would leave out folders such as _static
    if (Path(app.srcdir) / CARD).exists():
        shutil.copy(Path(app.srcdir) / CARD, out)


def setup(app):
    app.connect("config-inited", name_the_address, priority=900)  # after the repository is named
    app.connect("html-page-context", describe)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

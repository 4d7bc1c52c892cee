"""The whole book as one PDF: Chromium's print of Sphinx's single page, without scripts, so explorers are pictures.

python book/_ext/pdf.py _build/singlehtml _build/book.pdf
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup

STYLE = """
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.45 Georgia, "DejaVu Serif", serif; }
h1 { break-before: page; } h1, h2, h3 { font-family: sans-serif; break-after: avoid; line-height: 1.2; }
figure, svg, img, pre, .formula { break-inside: avoid; max-width: 100%; } img { height: auto; }
svg text { font-family: sans-serif; } svg.picture { height: auto; }
pre { font-size: 8.5pt; white-space: pre-wrap; background: #f4f4f4; padding: 0.6em; }
table { border-collapse: collapse; font-size: 8.5pt; margin: 0.8em 0; }
th, td { border-bottom: 0.5pt solid #999; padding: 0.2em 0.5em; text-align: left; }
th p, td p { margin: 0; }
details { border-left: 1.5pt solid #ccc; padding-left: 0.8em; } details.hide > summary { display: none; }
figcaption { font-size: 9.5pt; }
a { color: inherit; } a.headerlink, button, .cell_input.hidden { display: none; }
"""


def printable(html: str) -> str:
    """The article of a page, unfolded, with the pictures for pages without JavaScript in place of scripts."""
    page = BeautifulSoup(html, "html.parser")
    article = page.find("article")
    for script in article("script"):
        script.decompose()
    for hidden in article("noscript"):
        hidden.unwrap()
    for panel in article("svg", class_="panel"):
        panel.decompose()  # of a picture that is there as a whole
    for fold in article("details"):
        fold["open"] = ""
    for image in article("img"):
        image.attrs.pop("loading", None)  # a print does not scroll
    title = page.title.get_text() if page.title else ""
    return f'<!DOCTYPE html><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>{article}'


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if shutil.which(name):
            return name
    raise SystemExit("make pdf prints with Chromium, which is not here: install chromium (apt-get) or google-chrome")


def main(built: Path, pdf: Path) -> None:
    (page,) = built.glob("book/*.html")
    whole = built / "whole.print.html"  # the single page names its images from here
    whole.write_text(printable(page.read_text(encoding="utf-8")), encoding="utf-8")
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={profile}"]
        command = [chromium(), *flags, f"--print-to-pdf={pdf.resolve()}", whole.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True)
    whole.unlink()
    if not pdf.exists():
        raise SystemExit(f"Chromium has printed nothing: {done.stderr[-500:]}")
    print(f"The book is ready to print: {pdf.resolve()}, {pdf.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

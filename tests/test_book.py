"""The built book: strict, never stale, and alive in a browser that can reach no other host."""

import ast
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tomllib
from browser import complaints, open_browser, scheme, serve, size
from conftest import ROOT, build_book

TRANSFER_LIMIT = 1_200_000  # bytes of a page with everything that it loads, as no server has compressed it
LATE_LIMIT = 300_000  # bytes of large modules, which are loaded when the reader comes near


# ---------------------------------------------------------------------------------------------- the build itself


@pytest.fixture
def tiny(tmp_path):
    """Writes and builds a book of one page with the project's own configuration; call it with the page's cells."""

    def build(*cells, options=(), environment=None):
        source = tmp_path / "source"
        if not (source / "_config.yml").exists():
            (source / "book" / "live").mkdir(parents=True)
            shutil.copy(ROOT / "_config.yml", source)
            shutil.copytree(ROOT / "book" / "_ext", source / "book" / "_ext")
            (source / "lbgap" / "explorers").mkdir(parents=True)
            shutil.copy(ROOT / "lbgap" / "explorers" / "noscript.py", source / "lbgap" / "explorers")
            shutil.copy(ROOT / "book" / "references.bib", source / "book")
            (source / "_toc.yml").write_text("format: jb-book\nroot: book/page\n")
        notebook = {
            "cells": [
                {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": text}
                | ({"outputs": [], "execution_count": None} if kind == "code" else {})
                for i, (kind, text) in enumerate([("markdown", "# A page"), *cells])
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (source / "book" / "page.ipynb").write_text(json.dumps(notebook))
        return build_book(source, tmp_path, *options, **(environment or {}))

    build.folder = tmp_path / "source"
    return build


STRICT = ("-W", "--keep-going", "-n")


def test_the_book_builds_without_a_warning(book):
    assert "WARNING: " not in book.log and "ERROR: " not in book.log
    assert (book.html / "index.html").is_file()


def test_a_notebook_that_raises_fails_the_build_even_when_not_strict(tiny):
    built = tiny(("code", "raise RuntimeError('the cell raised')"))
    assert built.returncode and "the cell raised" in built.log


def test_a_formula_that_is_not_understood_fails_the_strict_build(tiny):
    built = tiny(("markdown", r"An unknown $\nosuchcommand{x}$."), options=STRICT)
    assert built.returncode and "formula not understood" in built.log


def test_formulas_are_mathml_and_equations_are_numbered(tiny):
    built = tiny(
        ("markdown", "Inline $f(x) < \\epsilon$.\n\n$$\na &= b \\\\ c &= d\n$$ (eq-a)\n\nSee {eq}`eq-a`."),
        ("markdown", "\\begin{align}\nx &= y \\\\\nz &= 1\n\\end{align}"),
        options=STRICT,
    )
    page = (built.html / "book" / "page.html").read_text()
    assert built.returncode == 0 and page.count("<math") == 3 and page.count("<mtable") == 2
    assert "MathJax" not in page and page.count('<span class="eqno">(1)') == 1 and 'href="#equation-eq-a">(1)' in page


def test_stored_outputs_follow_the_results_and_not_only_the_code(tiny):
    def output():
        built = tiny(("code", "print('read', open('../lbgap/store/value.json').read())"), options=STRICT)
        assert built.returncode == 0, built.log
        page = (built.html / "book" / "page.html").read_text()
        return re.search(r"<span></span>read (\w+)", page).group(1), "Executed notebook" in built.log

    value = tiny.folder / "lbgap" / "store" / "value.json"
    value.parent.mkdir(parents=True)
    value.write_text("first")
    assert output() == ("first", True)
    assert output() == ("first", False)
    value.write_text("second")
    assert output() == ("second", True)


def test_every_kind_of_file_that_travels_with_the_package_can_change_an_output():
    source = (ROOT / "book" / "_ext" / "lbgap_book.py").read_text(encoding="utf-8")
    kinds = set(ast.literal_eval(re.search(r"^OUTPUTS_DEPEND_ON = (.*)$", source, re.M)[1]))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (globs,) = project["tool"]["setuptools"]["package-data"].values()
    read = {
        ".py",
        ".json",
        *(Path(name).suffix for name in globs if not name.endswith(("*", ".c"))),
    }  # .wasm is made of .c
    assert read <= kinds


def test_the_book_of_a_fork_links_to_the_fork(tiny):
    for ref, branch in (("refs/heads/a/topic", "a/topic"), ("refs/pull/1/merge", "main")):
        environment = {
            "GITHUB_REPOSITORY": "someone/fork",
            "GITHUB_REF": ref,
            "GITHUB_SERVER_URL": "https://github.com",
        }
        built = tiny(("markdown", "Text."), environment=environment, options=("--all",))
        page = (built.html / "book" / "page.html").read_text()
        assert f"colab.research.google.com/github/someone/fork/blob/{branch}/book/page.ipynb" in page
        assert "lbgap/lbgap" not in page


# ------------------------------------------------------------------------------------------- what the pages hold


class Page(HTMLParser):
    """The images, links and JSON scripts of a page."""

    def __init__(self, path):
        super().__init__()
        self.images, self.links, self.scripts, self.open = [], [], [], None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.images.append(attrs)
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        self.open = attrs.get("type") if tag == "script" else None

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open and data.strip():
            self.scripts.append((self.open, data))


def pages(book):
    """Those that a reader is meant to see; 404.html is the host's, without the theme."""
    return sorted(p for p in book.html.rglob("*.html") if "_static" not in p.parts and p.name != "404.html")


def test_every_view_is_an_anywidget(book):
    for path in pages(book):
        scripts = Page(path).scripts
        state = {}
        for kind, text in scripts:
            if kind == "application/vnd.jupyter.widget-state+json":
                state |= json.loads(text)["state"]
        for kind, text in scripts:
            if kind == "application/vnd.jupyter.widget-view+json":
                model = state[json.loads(text)["model_id"]]
                assert model["state"].get("_model_module") == "anywidget", (
                    f"{path.name}: {model['state'].get('_model_name')}"
                )


def test_every_explorer_has_a_picture_for_pages_without_javascript(book):
    for path in pages(book):
        text = path.read_text(encoding="utf-8")
        pictures = re.findall(r"<noscript>\s*<img\b[^>]*>", text)
        assert len(pictures) == text.count("application/vnd.jupyter.widget-view+json"), path.name


def test_pictures_are_parts_of_their_pages(book):
    """SVG in the page's colours; a PNG is an explorer's for pages without JavaScript, or stands in the text."""
    drawn = single = 0
    for path in pages(book):
        text = path.read_text(encoding="utf-8")
        drawn += len(re.findall('<(?:svg class="picture"|div class="panels") role="img" aria-label="', text))
        single += text.count('<svg class="picture panel" aria-hidden="true"')
        rest = re.sub(r"<noscript>.*?</noscript>", "", text, flags=re.DOTALL)
        assert not re.findall(r'<img[^>]*src="[^"]*_images/[0-9a-f]{64}\.png"', rest), path.name
    assert drawn > 25 and single > 50  # the panels that a telephone shows one below the other


def test_every_image_of_a_page_has_alt_text(book):
    for path in pages(book):
        for image in Page(path).images:
            alt = image.get("alt", "")
            if "/_static/images/logo_" in image.get("src", ""):  # of a launch button, whose text says the same
                continue
            assert len(alt.split()) >= 3, f"{path.name}: {image.get('src', '')[:80]} has the alt text {alt!r}"


def test_launch_links_open_files_that_exist(book):
    notebooks = {p.stem for p in (book.html / "book").glob("*.html") if (ROOT / "book" / f"{p.stem}.ipynb").is_file()}
    for stem in notebooks:
        links = Page(book.html / "book" / f"{stem}.html").links
        (colab,) = [link for link in links if "colab.research.google.com" in link]
        (binder,) = [link for link in links if "mybinder.org" in link]
        assert (ROOT / re.search(r"/blob/[^/]+/(.+)$", colab).group(1)).is_file()
        assert (ROOT / re.search(r"urlpath=lab/tree/(.+)$", binder).group(1)).is_file()
    assert notebooks


def test_each_page_says_what_it_is_where_it_is_and_shows_a_card(tiny):
    """Described by its first paragraph, at the address of the repository that is built; and what a host looks for."""
    (tiny.folder / "book" / "images").mkdir(parents=True)
    shutil.copy(ROOT / "book/images/phenomenon.png", tiny.folder / "book/images")
    built = tiny(("markdown", "The *first* & only.\n\nAnother."), environment={"GITHUB_REPOSITORY": "Some/fork"})
    base, page = "https://some.github.io/fork/", (built.html / "book" / "page.html").read_text()
    assert f'<link rel="canonical" href="{base}book/page.html"' in page
    assert '<meta name="description" content="The first &amp; only.">' in page
    for name, text in {"title": "A page", "url": f"{base}book/page.html", "image": f"{base}phenomenon.png"}.items():
        assert f'<meta property="og:{name}" content="{text}">' in page
    assert re.search(
        r'<link rel="icon" href="[^"]*favicon\.svg"|<link rel="shortcut icon" href="[^"]*favicon\.svg"', page
    )
    assert f"<loc>{base}book/page.html</loc>" in (built.html / "sitemap.xml").read_text()
    assert f"Sitemap: {base}sitemap.xml" in (built.html / "robots.txt").read_text()
    assert f'href="{base}"' in (built.html / "404.html").read_text()
    assert (built.html / "phenomenon.png").is_file() and (built.html / ".nojekyll").is_file()


# ------------------------------------------------------------------------------------------------ in the browser


@pytest.fixture(scope="module")
def site(book):
    with serve(book.html) as url:
        yield url


@pytest.fixture(scope="module")
def driver():
    with open_browser() as driver:
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
        yield driver


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def dark(driver, request):
    """Whether the reader prefers a dark scheme."""
    scheme(driver, request.param)
    yield request.param
    scheme(driver, False)


def open_page(driver, url):
    """Load a page until everything, fonts and explorers included, is there: also what is loaded only when it is near."""
    driver.get(url)
    wait_until(
        driver,
        """
               document.querySelectorAll('.anywidget-static:not([data-ready])').forEach((e) => e.scrollIntoView());
               return document.readyState === "complete" && document.fonts.status === "loaded" &&
               document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]').length ===
               document.querySelectorAll('.anywidget-static[data-ready]').length""",
    )


def wait_until(driver, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60, poll_frequency=0.05).until(lambda d: d.execute_script(condition))


def rendered(driver):
    """Every drawing of the page's explorers, as text."""
    return driver.execute_script(
        "return [...document.querySelectorAll('.anywidget-static svg')].map(s => s.outerHTML).join('\\n')"
    )


# of text and the explorers' captions and labels against the background
CONTRASTS = """
      const seen = {}, canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const rgb = c => { if (!seen[c]) { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1);
                                         seen[c] = [...canvas.getImageData(0, 0, 1, 1).data]; }
                         return seen[c]; };
      const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                         .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; }
                            return rgb("Canvas"); };
      return [document.documentElement.dataset.theme, light(behind(document.body)),
        ...[...document.querySelectorAll("article p, article h1, .anywidget-static label, .anywidget-static svg text")]
          .filter(e => e.textContent.trim() && e.getClientRects().length).map(e => {
            const style = getComputedStyle(e);
            const [a, b] = [light(rgb(e.namespaceURI.endsWith("svg") ? style.fill : style.color)), light(behind(e))].sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), e.textContent.trim().slice(0, 60)];
          })];"""


def test_pages_load_quietly_lightly_from_their_own_host_and_can_be_read(book, site, driver, dark):
    for path in pages(book):
        url = f"{site}/{path.relative_to(book.html).as_posix()}"
        complaints(driver)
        open_page(driver, url)
        assert not complaints(driver), path.name
        loaded = driver.execute_script(
            """return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
                      .map(e => [e.name, e.transferSize])"""
        )
        others = [name for name, _ in loaded if not name.startswith((site, "blob:", "data:"))]
        assert not others, f"{path.name} asks another host: {others}"
        fonts = [name for name, _ in loaded if "webfonts" in name]
        assert len(fonts) < 2, f"{path.name}: one font of icons is enough: {fonts}"
        late = sum(
            bytes for name, bytes in loaded if "/_static/module-" in name
        )  # an explorer's, after the first paint
        transfer = sum(bytes for _, bytes in loaded) - late
        print(f"{path.name}: {transfer / 1e6:.3f} MB in {len(loaded)} requests, and {late / 1e6:.3f} MB late")
        assert late < LATE_LIMIT, f"{path.name}: {late:,} bytes come late"
        if path.name == "index.html":  # leads on to the first page
            continue
        assert 10_000 < transfer < TRANSFER_LIMIT, f"{path.name}: {transfer:,} bytes: {loaded}"
        theme, background, *found = driver.execute_script(CONTRASTS)
        assert theme == ("dark" if dark else "light"), path.name
        assert background < 0.2 if dark else background > 0.8, path.name
        for contrast, text in found:
            assert contrast >= 4.5, f"{path.name}: contrast {contrast:.2f}: {text}"
        marks = driver.execute_script(
            """return [...document.querySelectorAll(".lbg .mark.s2")].map(
                      e => [getComputedStyle(e).fill, getComputedStyle(e.closest(".lbg")).color])"""
        )  # the theme has a class of that name, with a colour of its own
        assert all(fill == text for fill, text in marks), f"{path.name}: {marks}"


def test_the_laboratory_of_the_first_page_comes_late_and_after_its_slider(book, site, driver):
    """A reader who does not scroll down to it does not load it; then it works, also in the page opened as a file."""
    toc = (ROOT / "_toc.yml").read_text()
    path = book.html / (re.search(r"^root: (\S+)", toc, re.M).group(1) + ".html")
    for address in (f"{site}/{path.relative_to(book.html).as_posix()}", path.as_uri()):
        driver.get(address)
        wait_until(driver, "return document.querySelector('.anywidget-static[data-ready] input[type=range]')")
        places = driver.execute_script(
            "return [...document.querySelectorAll('.anywidget-static')].map((e) => !('ready' in e.dataset))"
        )
        assert places == [False, True], "the slider first, the laboratory later"
        assert not driver.find_elements("css selector", 'script[src*="module-"]')
        open_page(driver, address)
        assert driver.find_elements("css selector", ".lbg-go") and not complaints(driver)


def test_every_slider_moves_by_the_keyboard_and_redraws(book, site, driver):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    moved = 0
    for path in pages(book):
        if "widget-view+json" not in path.read_text(encoding="utf-8"):
            continue
        open_page(driver, f"{site}/{path.relative_to(book.html).as_posix()}")
        assert not driver.find_elements(By.CSS_SELECTOR, ".anywidget-static [role=alert]"), path.name
        # a chart is drawn once the browser has told its size
        drawn = (
            "[...document.querySelectorAll('.anywidget-static svg')].every(s => !s.clientWidth || s.childElementCount)"
        )
        wait_until(driver, f"return {drawn}")
        for slider in driver.find_elements(By.CSS_SELECTOR, ".anywidget-static input[type=range]"):
            if not slider.is_displayed():
                continue
            value, before = slider.get_property("value"), rendered(driver)
            slider.send_keys(Keys.ARROW_LEFT)
            if slider.get_property("value") == value:
                slider.send_keys(Keys.ARROW_RIGHT)
            assert slider.get_property("value") != value, f"{path.name}: a slider cannot be moved"
            assert rendered(driver) != before, f"{path.name}: a slider moves and nothing is redrawn"
            moved += 1
        assert not complaints(driver), path.name
    assert moved, "the book has no slider"


def test_the_landing_page_has_a_slider(book):
    toc = (ROOT / "_toc.yml").read_text()
    root = book.html / (re.search(r"^root: (\S+)", toc, re.M).group(1) + ".html")
    assert "widget-view+json" in root.read_text(encoding="utf-8")


def test_the_verdicts_are_published_as_data(book):
    claims = json.loads((book.html / "book" / "claims.json").read_text(encoding="utf-8"))
    page = (book.html / "book" / "so_was_the_paper_right.html").read_text(encoding="utf-8")
    page = page.replace("’", "'")  # Sphinx sets apostrophes as a printer does
    assert len(claims) > 40 and 'href="claims.json"' in page
    for entry in claims.values():
        assert (html.escape(entry["says"], quote=False) in page) == (entry["direction"] != "not measured")


def test_pages_fit_a_telephone(book, site, driver):
    size(driver, 360, 740)
    try:
        for path in pages(book):
            open_page(driver, f"{site}/{path.relative_to(book.html).as_posix()}")
            width = driver.execute_script("return document.documentElement.scrollWidth")
            assert width <= 360, f"{path.name} is {width} px wide on a screen of 360"
    finally:
        size(driver, 1200, 900)


def test_a_page_of_the_theme_is_mended(book):
    """What axe-core finds in the theme's pages, and a reader who listens meets; `accessible` says why."""
    for path in pages(book):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r'doc-biblioentry|<th class="head">(?:<p></p>)?</th>|Toggle hidden content', text), (
            path.name
        )
        assert '<summary><span class="toctree-toggle"' not in text
        assert text.count('id="pst-primary-sidebar"') == text.count('role="region" aria-label="The book"')
        for name in re.findall(r'<button class="btn search-button-field[^>]*>', text):
            assert "aria-label" not in name


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(book, site, dark):
    axe = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.exists():
        pytest.skip("AXE-CORE WAS NOT RUN: npm install --no-save axe-core, in the project's root, for this part")
    ask = (
        "const done = arguments[0];"
        "axe.run().then(({ violations }) => done(violations.map((v) => [v.id, v.nodes[0].html])))"
    )
    with open_browser(width=1280, dark=dark) as driver:
        driver.set_script_timeout(120)
        for path in pages(book):
            open_page(driver, f"{site}/{path.relative_to(book.html).as_posix()}")
            driver.execute_script(axe.read_text(encoding="utf-8"))
            assert driver.execute_async_script(ask) == [], path.name

"""What the book needs of Sphinx beyond its configuration.

1. Formulas become MathML while the book is built: no script, nothing from another host, read by screen readers.
   A formula that cannot be converted is a warning, so a strict build fails on it.
2. Stored outputs of notebooks are kept for exactly the package, JavaScript and results that made them; those that are
   missing are computed side by side, in kernels that start at once (kernels.py).
3. In GitHub Actions the launch buttons point to the repository that is being built, so a fork's book opens the fork.
4. The verdict on each claim lies as claims.json beside the page that tells them.
5. Scripts that no page uses are left out: sphinx-thebe's (each page would log an error) and Font Awesome's (1.5 MB; the
   icons come from its web fonts). So are sphinx-design's styles where a page has none of
   its parts, and a second search field. A figure is fetched when the reader comes near it, and so is an explorer's
   module that is large. What the theme's pages lack for a reader who listens is mended (accessible.py).
"""

import hashlib
import html
import json
import logging as plain_logging
import os
import re
import shutil
from pathlib import Path

from accessible import accessible
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from kernels import forked
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)

# ---------------------------------------------------------------------------------------------------- formulas

to_mathml = LatexToMathML(fancy_error=False)


def mathml(node: nodes.Element, latex: str, display: bool) -> str:
    # \label is Sphinx's business, `split` is `aligned` with a number that Sphinx sets too.
    source = re.sub(r"\\label\{[^}]*\}", "", latex).strip()
    source = source.replace(r"{split}", "{aligned}")
    if display and r"\\" in source and r"\begin" not in source:
        source = rf"\begin{{aligned}}{source}\end{{aligned}}"
    source = re.sub(r"(\\(?:begin|end)\{(?:align|alignat|equation|gather))\}", r"\1*}", source)
    try:
        return to_mathml.convert_with_local_state(source, displaystyle=display)
    except LatexError as error:
        logger.warning("formula not understood: %s in %r", error, latex, location=node)
        return f"<code>{html.escape(source)}</code>"


def visit_math(self, node):
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(mathml(node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def visit_math_block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    parts = [part for part in node.astext().split("\n\n") if part.strip()]
    formulas = "".join(mathml(node, part, display=True) for part in parts)
    self.body.append(f'<div class="formula" tabindex="0">{formulas}</div></div>\n')
    raise nodes.SkipNode


# ------------------------------------------------------------------------------------------------------ outputs

OUTPUTS_DEPEND_ON = (".py", ".js", ".css", ".json", ".safetensors", ".bin", ".wasm", ".npz", ".xz", ".mp3")


def fingerprint(root: Path) -> str:
    """A hash of everything that can change a notebook's output, except the notebook's own code."""
    digest = hashlib.sha256(os.environ.get("LBGAP_SCALE", "").encode())
    for name in ("lbgap_book.py", "kernels.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    # as in lbgap/results/store.py
    users_results = Path(os.environ.get("LBGAP_RESULTS") or Path.home() / ".cache/lbgap/results")
    for folder in (root / "lbgap", users_results):
        for path in sorted(folder.rglob("*")):
            if path.suffix in OUTPUTS_DEPEND_ON and path.is_file():
                content = path.read_bytes()
                digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    if (root / "requirements.txt").is_file():
        digest.update((root / "requirements.txt").read_bytes())
    return digest.hexdigest()[:16]


def key_the_cache(app, config):
    """jupyter-cache follows a notebook's code only: give each state of the rest a cache of its own, and drop the
    others."""
    config.lbgap_fingerprint = fingerprint(Path(app.srcdir))  # rebuild="env": another value reads every page again
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(caches / config.lbgap_fingerprint)
    for stale in caches.glob("*"):
        if stale.is_dir() and stale.name != config.lbgap_fingerprint:
            shutil.rmtree(stale, ignore_errors=True)


def is_executed(path):
    """Whether a notebook is to be executed: MyST-NB's own setting, in the notebook's metadata, may say otherwise."""
    metadata = json.loads(Path(path).read_text(encoding="utf-8"))["metadata"]
    return metadata.get("mystnb", {}).get("execution_mode") != "off"


def execute_side_by_side(app, env, docnames):
    """Execute the notebooks that have no stored outputs, as many at a time as there are processors.

    MyST-NB finds them in the cache then. What fails here it executes again, alone, and reports as usual.
    """
    cache = get_cache(app.config.nb_execution_cache_path)
    for path in (str(env.doc2path(name)) for name in docnames):
        if path.endswith(".ipynb") and is_executed(path):
            cache.add_nb_to_project(path)
    executor = load_executor("local-parallel", cache, plain_logging.getLogger("lbgap.execute"))
    with forked(len(cache.list_unexecuted())):
        for path in executor.run_and_cache(timeout=app.config.nb_execution_timeout).succeeded:
            logger.info("Executed notebook %s", path)


# --------------------------------------------------------------------------------------------------- repository


def name_the_repository(app, config):
    repository = os.environ.get("GITHUB_REPOSITORY")
    if repository:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        config.html_theme_options["repository_url"] = f"{server}/{repository}"
        ref = os.environ.get("GITHUB_REF", "")
        if ref.startswith("refs/heads/"):  # not a tag or a pull request, which Binder and Colab cannot open
            config.html_theme_options["repository_branch"] = ref.removeprefix("refs/heads/")


# -------------------------------------------------------------------------------------------------------- pages


def one_search_field(app, config):
    # The parent theme would add a second one, in a bar of its own over every page.
    config.html_theme_options.setdefault("navbar_persistent", [])


def load_figures_late(app, doctree, docname):
    for image in doctree.findall(nodes.image):
        image["loading"] = "lazy"


def without_thebe(app, pagename, templatename, context, doctree):
    def is_thebe(script):
        return "thebe" in str(getattr(script, "filename", script)) or "THEBE_JS_URL" in str(
            getattr(script, "attributes", {}).get("body", "")
        )

    context["script_files"] = [script for script in context["script_files"] if not is_thebe(script)]


def without_unused_design(app, pagename, templatename, context, doctree):
    if not re.search(r'class="[^"]*\bsd-', context.get("body", "")):  # no card, grid or tab on this page
        for kind in ("css_files", "script_files"):
            context[kind] = [f for f in context[kind] if "design" not in str(getattr(f, "filename", f))]


# Font Awesome's, and the index of the search, which only the search page needs where nothing is searched as you type.
# The theme's template names them in the middle: taking them out of the pages outlives a new theme.
def without_idle_scripts(text: str, page: Path) -> str:
    idle = "fontawesome" if page.name == "search.html" else "fontawesome|searchtools|language_data|searchindex"
    return re.sub(rf'<script[^>]*["/](?:{idle})\.js[^>]*></script>\n?', "", text)


LARGE = 100_000  # characters of a module that a page does not carry itself
STATE = re.compile(r'(<script type="application/vnd\.jupyter\.widget-state\+json">)(.*?)(</script>)', re.DOTALL)


# A plain script that leaves the module's text where book/live/anywidget-static.js, which asks for it, finds it: a
# page that is opened as a file may not fetch, but it may load scripts.
def with_large_modules_apart(text: str, page: Path, static: Path) -> str:
    def lighter(found):
        widgets = json.loads(found[2])
        states = [widget["state"] for widget in widgets["state"].values()]
        large = [state for state in states if len(state.get("_esm") or "") > LARGE]
        for state in large:
            module = state.pop("_esm")
            file = static / f"module-{hashlib.sha256(module.encode()).hexdigest()[:16]}.js"
            file.write_text(f"document.currentScript.module = {json.dumps(module)};\n", encoding="utf-8")
            state["_esm_file"] = Path(os.path.relpath(file, page.parent)).as_posix()
        return found[1] + json.dumps(widgets).replace("</", r"<\/") + found[3] if large else found[0]

    return STATE.sub(lighter, text)


def finish_the_pages(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            finished = accessible(without_idle_scripts(text, page))
            finished = with_large_modules_apart(finished, page, Path(app.outdir) / "_static")
            if finished != text:
                page.write_text(finished, encoding="utf-8")


VERDICTS = "book/so_was_the_paper_right"


def publish_verdicts(app, exception):
    """Lay the verdicts as data beside the page that tells them; computed once for each state of the results."""
    if exception is None and app.builder.format == "html" and VERDICTS in app.env.found_docs:
        kept = Path(app.config.nb_execution_cache_path) / "claims.json"
        if not kept.exists():
            from lbgap.figures import so_was_the_paper_right

            kept.write_text(
                json.dumps(so_was_the_paper_right.published(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
            )
        shutil.copy(kept, Path(app.outdir, VERDICTS).parent / "claims.json")


# ---------------------------------------------------------------------------------------------------------- API


def as_it_is_written(app, what, name, obj, options, lines):
    """Docstrings are plain text with `code` in backticks and examples: nothing else in them is markup."""
    out, fenced = [], False
    escape = lambda text: re.sub(r"([|*\\]|_(?=\W|$))", r"\\\1", text)
    for line in lines:
        if line.lstrip().startswith("```"):
            fenced = not fenced
            out += [".. code-block:: python", ""] if fenced else [""]
        elif fenced or line.lstrip().startswith((">>>", "...")):
            out.append("    " * fenced + line)
        else:
            parts = re.split(r"(`[^`]+`)", line)
            out.append(
                "".join(f"`{part}`" if part.startswith("`") and len(part) > 2 else escape(part) for part in parts)
            )
    lines[:] = out


def setup(app):
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the kernels: two threads on a busy machine wait for each other
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_config_value("lbgap_fingerprint", "", "env", str)
    app.connect("autodoc-process-docstring", as_it_is_written, priority=400)  # before Napoleon
    app.connect("config-inited", name_the_repository)
    app.connect("config-inited", key_the_cache)
    app.connect("config-inited", one_search_field)
    app.connect("env-before-read-docs", execute_side_by_side)
    app.connect("doctree-resolved", load_figures_late)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("html-page-context", without_unused_design, priority=900)
    app.connect("build-finished", finish_the_pages)
    app.connect("build-finished", publish_verdicts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

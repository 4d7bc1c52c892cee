# make book   build the book            make test   run every quick test, two at a time     make test-slow   the others
# make pdf    the same as one PDF
# Both set up what they need in .venv the first time, and again when the pinned set changes.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help book pdf test test-slow tools clean

help:
	@echo "make book    set up $(VENV) and build the book into _build/html"
	@echo "make pdf     print it all into _build/book.pdf, with Chromium"
	@echo "make test    set up what the tests need and run them"
	@echo "make test-slow   the tests that take minutes: grading with Otter-Grader, which it installs into $(VENV)"
	@echo "make clean   remove the built book and the caches (and keep $(VENV))"
	@echo "PYTHON=python3.12 chooses the interpreter; 3.11 or later."

# numpy's pinned release needs 3.11, so an older interpreter is told so here and not by pip.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "The pinned set needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: $(STAMP)
	$(BIN)/jupyter-book build . -W --keep-going -n
	@echo
	@echo "The book is ready. Open $(CURDIR)/_build/html/index.html"

pdf: $(STAMP) tools
	$(BIN)/jupyter-book build . --builder custom --custom-builder singlehtml
	$(BIN)/python book/_ext/pdf.py _build/singlehtml _build/book.pdf

test: $(STAMP) tools
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP) tools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-teach.txt -c requirements.txt
	$(BIN)/python -m pytest -m slow

# The browser tests need Chromium and its driver, the spoken corpus flite. Tests skip themselves without, so say so loudly.
tools:
	@have() { for c in "$$@"; do command -v $$c >/dev/null 2>&1 && return 0; done; return 1; }; \
	ready() { have chromium chromium-browser google-chrome google-chrome-stable && have chromedriver && have flite; }; \
	if ! ready && have apt-get && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing chromium, chromium-driver and flite with apt-get ..."; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver flite; } >/dev/null || true; \
	fi; \
	if ! ready; then \
	  echo "*************************************************************************"; \
	  echo "*  No Chromium with chromedriver, or no flite here:                     *"; \
	  echo "*  THE BROWSER TESTS, OR THOSE OF THE SPOKEN CORPUS, ARE SKIPPED.       *"; \
	  echo "*  Debian, Ubuntu: sudo apt-get install chromium chromium-driver flite  *"; \
	  echo "*************************************************************************"; \
	fi

clean:
	rm -rf _build build .pytest_cache *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

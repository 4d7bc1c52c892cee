"""What the theme's pages lack for a reader who listens to them: names, landmarks, and roles that are still in use."""

import re

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

"""The paper's own numbers: Tables 2, 3, 4, 6 and 7, [mean, standard deviation] over 5 trials."""

from __future__ import annotations

import functools
import json
import pathlib


@functools.cache
def numbers() -> dict:
    """Tables by name: table2, table3, table4, table6_augmentation, table7_conservative; accuracies in percent."""
    return json.loads((pathlib.Path(__file__).parent / "paper.json").read_text())


FORMS = {"C1-text": "C1", "F2-lj": "F2", "F2-timit": "F2"}  # a network of Table 1, in another variant or on other data


def cell(table: str, network: str) -> dict:
    """What a table has of a network, or of the network of Table 1 that it is a form of; {} where the table has none."""
    return numbers()[table].get(FORMS.get(network, network), {})

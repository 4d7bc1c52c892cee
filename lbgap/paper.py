"""The paper's own numbers: Tables 2, 3, 4, 6 and 7, [mean, standard deviation] over 5 trials."""

from __future__ import annotations

import functools
import json
import pathlib

from . import networks


@functools.cache
def numbers() -> dict:
    """Tables by name: table2, table3, table4, table6_augmentation, table7_conservative; accuracies in percent."""
    return json.loads((pathlib.Path(__file__).parent / "paper.json").read_text())


def column(network: str) -> str:
    """The network of Table 1 whose numbers stand beside a network's: the one that it is a form of, or itself.

    >>> column("C1-text"), column("mlp")
    ('C1', 'mlp')
    """
    of = networks.form(network)
    return of.network if of.beside_paper else network


def cell(table: str, network: str) -> dict:
    """What a table has of a network, or of the network of Table 1 that it is a form of; {} where the table has none.

    Args:
        table: of `numbers`.
        network: "F1", "C1-text", ...

    >>> cell("table3", "C1")["1e-3"]["LB"]  # mean and standard deviation
    [707.23, 43.04]
    """
    return numbers()[table].get(column(network), {})

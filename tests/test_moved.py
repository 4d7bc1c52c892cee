"""Modules under the names that the README and the book once had for them."""

import importlib

import pytest

import lbgap
from lbgap import _moved


@pytest.mark.parametrize("old, name", [("units", "pair"), ("units", "grid"), ("stored", "final")])
def test_an_old_name_gives_what_it_held_with_a_warning(old, name):
    new = [vars(importlib.import_module(room)).get(name) for room in _moved.MOVED[f"lbgap.{old}"]]
    importlib.sys.modules.pop(f"lbgap.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"lbgap.{old} is now lbgap\\."):
        module = importlib.import_module(f"lbgap.{old}")
    assert getattr(module, name) in [found for found in new if found]


def test_old_names_work_in_every_way_of_importing():
    with pytest.warns(DeprecationWarning):
        for old in _moved.MOVED:
            importlib.sys.modules.pop(old, None)
        from lbgap.treatments import ratio

        from lbgap import rescaling
    assert rescaling.twin is lbgap.same_function.twin and lbgap.scaling.break_even(0.2, 0.1) == 0.5 and ratio("F1") > 1
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        lbgap.nothing_of_the_kind

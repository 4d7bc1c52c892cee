"""lbgap: why large-batch training generalises worse, and what flat and sharp minima have to do with it.

A whole reproduction of Keskar et al., *On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
Minima*, ICLR 2017. Importing it needs torch, numpy and scipy only; the rest comes in where it is used.
"""

import importlib

from . import (
    _moved,  # noqa: F401  (modules under the names that they had before 0.2)
    data,
    landscape,
    metric,
    networks,
    noise,
    objective,
    performance_model,
    remedies,
    results,
    same_function,
    spectrum,
    training,
)
from .data import load
from .metric import sharpness
from .objective import Objective
from .training import Minimizer, Run, minimizer, train

__version__ = "0.1.0"
__all__ = [
    "Minimizer",
    "Objective",
    "Run",
    "data",
    "landscape",
    "load",
    "metric",
    "minimizer",
    "networks",
    "noise",
    "objective",
    "performance_model",
    "remedies",
    "results",
    "same_function",
    "sharpness",
    "spectrum",
    "train",
    "training",
]


def __getattr__(name):
    if f"lbgap.{name}" in _moved.MOVED:
        return importlib.import_module(f"lbgap.{name}")
    raise AttributeError(f"module 'lbgap' has no attribute {name!r}")

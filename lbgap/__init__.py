"""lbgap: why large-batch training generalises worse, and what flat and sharp minima have to do with it.

A whole reproduction of Keskar et al., *On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
Minima*, ICLR 2017. Importing it takes no time: a room, and torch with it, comes in when it is first asked for. The
package needs torch, numpy and scipy only; the rest comes in where it is used.
"""

import importlib
import sys

from . import _moved  # noqa: F401  (modules under the names that they had before 0.2)

if "torch" in sys.modules:
    from . import machine  # notes how many threads PyTorch has, before the caller chooses

__version__ = "0.1.0"
_SHOWN = {  # what a room shows here: the room
    "Minimizer": "training",
    "Objective": "objective",
    "Run": "run",
    "load": "data",
    "minimizer": "training",
    "sharpness": "metric",
    "train": "training",
}
_ROOMS = "data landscape metric networks noise objective performance_model remedies results same_function spectrum"
__all__ = [*_SHOWN, *_ROOMS.split(), "training"]


def __getattr__(name):
    if name in _SHOWN:
        return getattr(importlib.import_module(f"lbgap.{_SHOWN[name]}"), name)
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"lbgap.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"lbgap.{name}":
                raise
    raise AttributeError(f"module 'lbgap' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})

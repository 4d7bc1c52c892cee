"""Modules that the README or the book once named otherwise: importable under their old names for a release, with a
warning."""

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings

MOVED = {  # old name: where what it held is now
    "lbgap.rescaling": ("lbgap.same_function",),
    "lbgap.scaling": ("lbgap.performance_model",),
    "lbgap.stored": ("lbgap.results.arrays",),
    "lbgap.treatments": ("lbgap.campaign.treatments",),
    "lbgap.units": ("lbgap.campaign.units", "lbgap.campaign.scales"),
}


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module):
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is now {' and '.join(new)}", DeprecationWarning, stacklevel=2)
        for room in map(importlib.import_module, new):
            vars(module).update({name: value for name, value in vars(room).items() if not name.startswith("__")})


sys.meta_path.insert(0, _Moved())

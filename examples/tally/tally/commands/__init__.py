"""The subcommands: one module each, found by name.

A module has a docstring (its help), `arguments(parser)` and `run(entries, options) -> text`.
"""

import importlib
import pkgutil


def find():
    """Returns the modules of this package by name, in the order of the alphabet."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}

"""Loads a command's module soon: a seed that failed is replayed in less than a second.

Theory: most of a short run is imports. What the simulation never uses is kept out, as of a service
that starts, the code of dataclasses is taken from where it was kept, and nothing is collected
while a hundred thousand objects are made that all stay; nor are they looked through again at the
end, which takes as long as a seed.
"""

from __future__ import annotations

import gc
from importlib import import_module
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from transports.ingress.cli.kept_code import kept_code
from transports.ingress.cli.sparing import unused


def load(module: str) -> ModuleType:
    """Return a module, imported."""
    kept = Path(cache_from_source(__file__)).with_suffix(f".{module}.methods")
    was_on = gc.isenabled()
    gc.disable()
    try:
        with unused(), kept_code(kept):
            return import_module(module)
    finally:
        gc.freeze()
        if was_on:
            gc.enable()

"""The packages beside ``oodbench``, found by path: a user may have files of the same names."""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any


def sibling(name: str) -> Path:
    """The folder ``name`` (``analysis`` or ``sweeps``) beside this package."""
    return Path(__file__).parents[1] / name


class SecondName(MetaPathFinder, Loader):
    """Gives the modules of ``oodbench.NAME`` as those of ``NAME`` too: one copy of each.

    Args:
        name: Name of the package.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def install(self) -> None:
        """Give the package itself its second name, and its modules theirs when imported."""
        sys.modules[self._name] = import_module(f"oodbench.{self._name}")
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """A module of the package, by its second name."""
        return spec_from_loader(name, self) if name.startswith(f"{self._name}.") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module that has the first name."""
        module = import_module(f"oodbench.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; it keeps the first name's spec, which relative imports rely on."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state

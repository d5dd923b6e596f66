"""A name, and the thing that it names."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, Protocol, TypeVar

from oodbench.errors import RequestError, UnknownNameError


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Things of one kind by name: a duplicate raises, an unknown name suggests near ones.

    Other packages add to it through the entry-point group ``oodbench.<kind>s``, each entry a module
    with a list ``REGISTER``; entry points are read at the first lookup, so importing stays cheap.
    A module may also have ``NOT_SUPPORTED``: names that one may look for in vain, and why.

    Args:
        kind: What the things are, in the singular, as errors say it: ``"optimizer"``.
        things: The built-in ones.
        find: Asked for a name that is not registered; what it finds can be had by name, and is in
            no listing.
        patterns: What such names look like, for messages.
    """

    def __init__(
        self,
        kind: str,
        things: Iterable[T] = (),
        find: Callable[[str], T | None] = lambda name: None,
        patterns: Iterable[str] = (),
    ) -> None:
        self.kind, self._find = kind, find
        self._patterns = list(patterns)
        self._things: dict[str, T] = {}
        self._not_supported: dict[str, str] = {}
        self._plugins_read = False
        for thing in things:
            self.add(thing)

    def add(self, thing: T) -> T:
        """Register ``thing`` under its name and return it.

        Raises:
            RequestError: If the name is taken.
        """
        if thing.name in self._things:
            raise RequestError(
                f"The {self.kind} {thing.name!r} is registered already; choose another name."
            )
        self._things[thing.name] = thing
        return thing

    def get(self, name: str) -> T:
        """The thing called ``name``.

        Raises:
            UnknownNameError: If there is none; it lists the names that exist.
            RequestError: If it is known that there is none, and why.
        """
        self._read_plugins()
        found = self._things.get(name) or self._find(name)
        if found is None:
            for known, why in self._not_supported.items():
                if known.lower() == str(name).lower():
                    raise RequestError(f"The {self.kind} {known} is not supported: {why}.")
            raise UnknownNameError(self.kind, name, [*self._things, *self._patterns])
        return found

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._read_plugins()
        return list(self._things)

    def not_supported(self) -> dict[str, str]:
        """Names that one may look for in vain -> why they are not here."""
        self._read_plugins()
        return dict(self._not_supported)

    def __iter__(self) -> Iterator[T]:
        self._read_plugins()
        return iter(list(self._things.values()))

    def _read_plugins(self) -> None:
        if self._plugins_read:
            return
        self._plugins_read = True
        for entry in entry_points(group=f"oodbench.{self.kind}s"):
            try:
                module = import_module(entry.value)
                things = module.REGISTER
            except Exception as error:
                raise RequestError(
                    f"The plug-in {entry.value!r} ({entry.group}) cannot be loaded: "
                    f"{type(error).__name__}: {error}. Fix it or uninstall it."
                ) from error
            for thing in things:
                self.add(thing)
            self._not_supported |= getattr(module, "NOT_SUPPORTED", {})

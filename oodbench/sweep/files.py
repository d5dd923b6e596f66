"""Sweep files on disk: YAML, what they extend, and changes to them from the command line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oodbench.errors import SweepError
from oodbench.sweep.spec import SweepSpec, parse_sweep

EXTENDS, SWEEPS = "extends", "sweeps"

LONGEST = 2**20
"""Characters that a sweep file may have."""
MOST = 100_000
"""Values that it may stand for: ten short aliases of aliases stand for billions."""
DEEPEST = 50
"""Levels of lists and dictionaries."""


def load_sweeps(path: str | Path, changes: Sequence[str] = ()) -> list[SweepSpec]:
    """Read and check a sweep file, or each of those that a file lists.

    A file that says ``sweeps: [one.yaml, other.yaml]`` (paths from its own folder), and nothing
    else, stands for these: each is a sweep of its own.

    Args:
        path: The file.
        changes: Changes to each of them; see ``load_sweep``.

    Raises:
        SweepError: As ``load_sweep``; or two of them have one name.
    """
    path = Path(path)
    values = read(path, ())
    if not isinstance(values, dict) or SWEEPS not in values:
        return [changed(values, changes, path)]
    files = values[SWEEPS]
    listed = isinstance(files, list) and all(isinstance(file, str) for file in files)
    if len(values) > 1 or not listed or not files:
        raise SweepError(
            f"{path}: a file with sweeps lists the paths of sweep files, and has no other key; "
            f"got {files!r} and the keys {', '.join(map(str, values))}."
        )
    specs = [load_sweep(path.parent / file, changes) for file in files]
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise SweepError(f"{path}: two of its sweeps have one name: {', '.join(sorted(names))}.")
    return specs


def load_sweep(path: str | Path, changes: Sequence[str] = ()) -> SweepSpec:
    """Read and check a sweep file (YAML 1.2: ``1e-3`` is a number, ``no`` is a string).

    A file that says ``extends: other.yaml`` (a path from its own folder) is that one with the keys
    that it gives itself; keys of keys are merged, lists and plain values replaced.

    Args:
        path: The file.
        changes: Changes such as ``train.steps=100`` or ``datasets.0.test_environments=each``.

    Raises:
        SweepError: If it cannot be read, is not YAML, or says something that does not hold.
    """
    values = read(Path(path), ())
    if isinstance(values, dict) and SWEEPS in values:
        raise SweepError(
            f"{path} lists several sweeps; here one is needed: {values[SWEEPS]!r}. "
            "(oodbench sweep takes the list.)"
        )
    return changed(values, changes, path)


def changed(values: Any, changes: Sequence[str], path: str | Path) -> SweepSpec:
    """What a file says, with changes to it, checked."""
    for change in changes:
        set_key(values, change)
    return parse_sweep(values, str(path))


def read(path: Path, extending: tuple[Path, ...]) -> Any:
    """What a file says, together with what it extends."""
    if path.resolve() in extending:
        raise SweepError(f"{path} extends itself, by way of {extending[-1]}.")
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise SweepError(f"Cannot read the sweep file {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SweepError(f"{path} is not a sweep file: it is not text in UTF-8.") from error
    if len(text) > LONGEST:
        raise SweepError(f"{path} is not a sweep file: it has more than {LONGEST:,} characters.")
    values = parse_yaml(text, str(path))
    if values is None:
        needed = (name for name, field in SweepSpec.model_fields.items() if field.is_required())
        raise SweepError(f"{path} is empty; it needs at least {', '.join(needed)}.")
    if not isinstance(values, dict) or EXTENDS not in values:
        return values  # what is no dictionary, parse_sweep refuses
    base = values.pop(EXTENDS)
    if not isinstance(base, str):
        raise SweepError(f"{path}: extends needs the path of a sweep file, but got {base!r}.")
    return merged(read(path.parent / base, (*extending, path.resolve())), values)


def merged(base: Any, changes: Any) -> Any:
    """``base`` with the keys of ``changes``; what is not a dictionary on both sides is replaced."""
    if not isinstance(base, Mapping) or not isinstance(changes, Mapping):
        return changes
    both = {key: merged(base[key], changes[key]) for key in base.keys() & changes.keys()}
    return {**base, **changes, **both}


def set_key(values: Any, change: str) -> None:
    """Apply a change such as ``train.steps=100``, whose value is read as YAML, in place."""
    path, equals, text = change.partition("=")
    *parents, last = path.split(".")
    if not equals or not all((*parents, last)):
        raise SweepError(f"A change is written key.key=value, but got {change!r}.")
    place = values
    try:
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        place[int(last) if isinstance(place, list) else last] = parse_yaml(text, change)
    except (IndexError, ValueError, TypeError, AttributeError) as error:
        raise SweepError(
            f"Cannot apply {change!r}: {path} is not in the sweep file. "
            "Items of a list are numbered from 0."
        ) from error


def parse_yaml(text: str, source: str) -> Any:
    """A YAML document as plain values.

    Raises:
        SweepError: With line, column and problem on one line; ruamel.yaml's own text has six. Also
            if it stands for more values than ``MOST``, or is nested more than ``DEEPEST`` levels.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise SweepError(f"{source} is nested too deeply; {DEEPEST} levels are enough.") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SweepError(f"{source} is not YAML: {place}{problem}.") from error
    for count, level in enumerate(levels(values)):
        if count >= MOST or level > DEEPEST:
            raise SweepError(
                f"{source} stands for more than {MOST:,} values or {DEEPEST} levels; use fewer "
                "aliases (*name), or none."
            )
    return values


def levels(values: Any) -> Iterator[int]:
    """The level of each value of a document; what an alias stands for counts at each use."""
    waiting = [iter([values])]
    while waiting:
        for value in waiting[-1]:
            yield len(waiting) - 1
            if isinstance(value, dict | list):
                waiting.append(iter(value.values() if isinstance(value, dict) else value))
                break
        else:
            waiting.pop()

"""What each figure of ``analysis`` is and takes, read from its source: ``--help`` cannot wait.

A figure is a function of ``analysis/plots`` in a module of its own name, and has a line in
``analysis/__init__.pyi``. Its keyword-only parameters are its options: annotation, default and the
entry of its docstring, which may be that of another figure: ``a, b: See ``analysis.scatter``.``
Its other parameters are read from the database. Importing a figure would load matplotlib and
pandas, so only the text is read.
"""

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from oodbench.errors import check_name
from oodbench.siblings import sibling


@dataclass(frozen=True)
class Option:
    """An option of a figure.

    Attributes:
        kind: ``int``, ``float``, ``bool``, ``list[str]``, or ``str`` for everything else.
        default: Its value where none is given.
        about: Its entry in the docstring, on one line.
    """

    kind: Any
    default: Any
    about: str


@dataclass(frozen=True)
class Figure:
    """A figure, as its source says.

    Attributes:
        about: The first line of its docstring.
        data: The parameters that are read from the database.
        options: Name -> option.
    """

    about: str
    data: tuple[str, ...]
    options: Mapping[str, Option]


@cache
def figure_names() -> tuple[str, ...]:
    """The names of all figures: the lines ``from .plots.NAME import NAME as NAME`` of the stub."""
    stub = _parsed(sibling("analysis") / "__init__.pyi")
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    pairs = [(node.module, alias.name) for node in imports for alias in node.names]
    return tuple(name for module, name in pairs if module == f"plots.{name}")


@cache
def figure(name: str) -> Figure:
    """The figure of this name.

    Raises:
        UnknownNameError: There is none.
    """
    check_name("plot", name, figure_names())
    path = sibling("analysis") / "plots" / f"{name}.py"
    function = _defined(path, name)
    taken, entries = function.args, _entries(function)
    data = tuple(one.arg for one in taken.args)
    options = {
        one.arg: _option(path, one, default, entries.get(one.arg, ""))
        for one, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
    }
    if taken.kwarg is not None:
        options = {**options, **_records(entries[taken.kwarg.arg], {*data, *options})}
    about = (ast.get_docstring(function) or "").partition("\n")[0]
    return Figure(about, data, options)


def _defined(path: Path, name: str) -> Any:
    """The function or class of this name."""
    return next(node for node in _parsed(path).body if getattr(node, "name", "") == name)


def _records(entry: str, data: Collection[str]) -> dict[str, Option]:
    """The fields of the records that an entry names, each as ``analysis.x.Record``.

    Args:
        entry: That of the keyword arguments.
        data: Fields that are no options: they are read from the database, or parameters.
    """
    found: dict[str, Option] = {}
    for named in re.findall(r"\banalysis\.([\w.]+)\b", entry):
        *modules, name = named.split(".")
        path = sibling("analysis").joinpath(*modules).with_suffix(".py")
        found |= _fields(path, name, data)
    return found


def _fields(path: Path, name: str, data: Collection[str]) -> dict[str, Option]:
    """The fields of a record of a module, after those of the records that it extends."""
    record = _defined(path, name)
    bases = [_fields(path, base.id, data) for base in record.bases]
    found = {key: option for fields in bases for key, option in fields.items()}
    entries = _entries(record)
    return found | {
        item.target.id: _option(path, item, item.value, entries[item.target.id])
        for item in record.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and item.target.id not in data
    }


def _option(
    path: Path, item: ast.arg | ast.AnnAssign, default: ast.expr | None, about: str
) -> Option:
    """Make an option from a parameter or a field; choices such as ``Palette`` are text."""
    annotation = item.annotation or ast.Pass()
    names = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]
    single = [kind for kind in (int, float, bool) if kind.__name__ in names]
    kind = list[str] if "Sequence" in names else (*single, str)[0]
    return Option(kind, _value(path, default), about)


def _value(path: Path, default: ast.expr | None) -> Any:
    """A literal, or a constant that the module imports from another one."""
    if not isinstance(default, ast.Name):
        return ast.literal_eval(default or ast.Constant(None))
    for node in _parsed(path).body:
        if isinstance(node, ast.ImportFrom) and default.id in [one.name for one in node.names]:
            source = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            return _value(source.with_suffix(".py"), default)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == default.id:
            return _value(path, node.value)
    raise NameError(f"{path} has no {default.id}")


def _entries(documented: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """Name -> text of the entries under ``Args`` or ``Attributes``, without its marks of code.

    Where an entry says "See" another figure, its names have that figure's texts.
    """
    text = ast.get_docstring(documented) or ""
    section = re.search(r"^(?:Args|Attributes):\n((?:    .*\n?)*)", text, re.MULTILINE)
    entries = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M)
    found: dict[str, str] = {}
    for names, entry in entries:
        plain = " ".join(re.sub(r'``(?:"([^"`]*)"|(.+?))``', r"\1\2", entry).split())
        source = re.fullmatch(r"See analysis\.(\w+)\.", plain)
        theirs = figure(source[1]).options if source else {}
        found |= {name: theirs[name].about if source else plain for name in names.split(", ")}
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))

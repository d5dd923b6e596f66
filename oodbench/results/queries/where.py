"""``--where``: a condition on runs, written like Python or SQL, compiled to SQLAlchemy.

    optimizer = "adam" and lr < 1e-3
    dataset in ("ColoredDigits", "RotatedDigits") and 0.5 <= id_val < 0.9
    status != "completed" or not nesterov
    momentum is null

A name is a column or a hyperparameter (``lr``, or ``hparams.lr`` where a column has the name); the
accuracy on a target is ``ood[NAME]``. As in SQL, a run that lacks a value satisfies no comparison
with it, nor the opposite one.
"""

import ast
import io
import operator
import re
import tokenize
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, String, and_, literal, not_, or_, true

from oodbench.errors import QueryError, UnknownNameError
from oodbench.results.queries.hparams import (
    BOOLEAN,
    NUMBER,
    TEXT,
    by_code_point,
    hparam_kind,
    hparam_value,
)

NULL = "null"
COMPARISONS_MOST, VALUES_MOST, DEEPEST = 900, 30_000, 100
"""SQLite takes a thousand levels, of which each AND is one, and 32,766 values."""
EXAMPLE = 'Write, for example: optimizer = "adam" and lr < 1e-3.'
WORDS = {"AND": "and", "OR": "or", "NOT": "not", "IN": "in", "IS": "is"}
CONSTANTS = {"true": "True", "false": "False", "null": "None", "none": "None"}

_OF_TARGET = re.compile(r"""("[^"]*"|'[^']*')|\b((?:n_)?ood)\[\s*([^]"']+?)\s*\]""")
"""A text in quotes, or the column of a target, whose name need not be in quotes."""

Values = Callable[[str], Collection[str]]

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
}


def compile_where(
    text: str,
    columns: Mapping[str, ColumnElement[Any]],
    hparam_names: Callable[[], Collection[str]],
    values: Values = lambda column: (),
) -> ColumnElement[bool]:
    """The condition that ``text`` states.

    Args:
        text: The condition, see the module's docstring.
        columns: The columns that it may name; ``hparams`` is where the hyperparameters are.
        hparam_names: Gives the hyperparameters that it may name; asked only if they matter.
        values: Gives all values that a column has, of one that has few; nothing of another.

    Raises:
        QueryError: If the text is not such a condition; the message shows the part that is not.
        UnknownNameError: If there is no such column or hyperparameter, or no such value where
            ``values`` knows them.
    """
    return _Compiler(columns, hparam_names, values).condition(_parse(text))


def _parse(text: str) -> ast.expr:
    quoted = _OF_TARGET.sub(lambda found: found[1] or f"{found[2]}[{found[3]!r}]", text)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(quoted.strip()).readline))
        parsed = ast.parse(tokenize.untokenize(map(_as_python, tokens)).strip(), mode="eval").body
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or error.args[0]
        raise QueryError(f"The condition {text!r} cannot be read: {reason}. {EXAMPLE}") from error
    _check_size(parsed)
    return parsed


def _check_size(condition: ast.expr) -> None:
    """Refuse what is too long or too deep for a database, or for Python's stack."""
    level: list[ast.AST] = [condition]
    depth = comparisons = values = 0
    while level:
        depth += 1
        comparisons += sum(len(node.ops) for node in level if isinstance(node, ast.Compare))
        values += sum(isinstance(node, ast.Constant) for node in level)
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if depth > DEEPEST or comparisons > COMPARISONS_MOST or values > VALUES_MOST:
        raise QueryError(
            f"The condition is too long: comparisons {comparisons:,} (at most {COMPARISONS_MOST}), "
            f"values {values:,} (at most {VALUES_MOST:,}), levels {depth:,} (at most {DEEPEST}). "
            "Write `lr in (0.1, 0.2)` in place of `lr = 0.1 or lr = 0.2`."
        )


def _as_python(token: tokenize.TokenInfo) -> tuple[int, str]:
    if token.type == tokenize.OP and token.string == "=":
        return token.type, "=="
    if token.type == tokenize.NAME:
        word = WORDS.get(token.string, token.string)
        return token.type, CONSTANTS.get(word.lower(), word)
    return token.type, token.string


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise QueryError(f"The number {number} is too large. {EXAMPLE}") from None


@dataclass(frozen=True)
class _Value:
    """One side of a comparison: a constant, a column or a hyperparameter.

    A hyperparameter has no kind of its own; it takes that of what it is compared with.
    """

    source: str
    kind: str | None
    constant: Any = None
    column: ColumnElement[Any] | None = None
    hparam: str | None = None

    @property
    def is_constant(self) -> bool:
        return self.column is None and self.hparam is None


class _Compiler:
    def __init__(
        self,
        columns: Mapping[str, ColumnElement[Any]],
        hparam_names: Callable[[], Collection[str]],
        values: Values,
    ) -> None:
        self.values, self.find_hparams = values, hparam_names
        self.hparams = columns["hparams"]
        self.columns = {name: column for name, column in columns.items() if name != "hparams"}

    @cached_property
    def hparam_names(self) -> Collection[str]:
        """The names of all hyperparameters; listing them reads every run."""
        return self.find_hparams()

    def condition(self, node: ast.expr) -> ColumnElement[bool]:
        """A node that is true or false."""
        if isinstance(node, ast.BoolOp):
            join = and_ if isinstance(node.op, ast.And) else or_
            return join(*(self.condition(value) for value in node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not_(self.condition(node.operand))
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.Name | ast.Attribute):
            value = self.value(node)
            if value.hparam is not None:
                return self.typed(value, BOOLEAN) == true()
        raise QueryError(f"`{ast.unparse(node)}` is not a condition. {EXAMPLE}")

    def comparison(self, node: ast.Compare) -> ColumnElement[bool]:
        """``a < b <= c`` is ``a < b and b <= c``."""
        parts, left = [], node.left
        for operation, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operation, ast.In | ast.NotIn):
                inside = self.membership(left, right)
                parts.append(inside if isinstance(operation, ast.In) else not_(inside))
            else:
                parts.append(self.pair(left, operation, right))
            left = right
        return and_(*parts)

    def membership(self, left: ast.expr, right: ast.expr) -> ColumnElement[bool]:
        shown = f"`{ast.unparse(left)} in {ast.unparse(right)}`"
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
            raise QueryError(f'{shown} needs a list after "in", such as ("adam", "sgd").')
        for item in right.elts:
            self.quoted(left, item, shown.strip("`"))
        value, options = self.value(left), [self.value(item) for item in right.elts]
        for option in options:
            self.known(value, option)
        kinds = {item.kind for item in options}
        if value.is_constant or not all(item.is_constant for item in options):
            raise QueryError(f"{shown} needs a name before the list and plain values in it.")
        if len(kinds) > 1 or NULL in kinds:
            raise QueryError(f"{shown} mixes kinds; list only numbers or only texts.")
        kind = self.common_kind(value, options[0], shown)
        return self.typed(value, kind).in_([self.typed(item, kind) for item in options])

    def pair(self, left: ast.expr, operation: ast.cmpop, right: ast.expr) -> ColumnElement[bool]:
        shown = ast.unparse(ast.Compare(left, [operation], [right]))
        self.quoted(left, right, shown)
        self.quoted(right, left, shown)
        one, other = self.value(left), self.value(right)
        if one.is_constant and other.is_constant:
            raise QueryError(f"`{shown}` compares two constants; name a column in it.")
        ordered = not isinstance(operation, ast.Eq | ast.NotEq | ast.Is | ast.IsNot)
        if NULL in (one.kind, other.kind):
            if ordered:
                raise QueryError(f"`{shown}` orders null; write `is null` or `is not null`.")
            name = other if one.is_constant else one
            present = name.column  # or what is null where the hyperparameter is
            if name.hparam is not None:
                present = hparam_kind(self.hparams, name.hparam)
            assert present is not None
            equal = isinstance(operation, ast.Eq | ast.Is)
            return present.is_(None) if equal else present.is_not(None)
        kind = self.common_kind(one, other, f"`{shown}`")
        if ordered and kind == BOOLEAN:
            raise QueryError(f"`{shown}` orders true and false; write = or !=.")
        if isinstance(operation, ast.Is | ast.IsNot) and kind != BOOLEAN:
            raise QueryError(f"`{shown}`: `is` goes with null, true and false; write = or !=.")
        if not ordered:
            self.known(one, other)
            self.known(other, one)
        compare = COMPARISONS[type(operation)]
        sides = [self.typed(value, kind) for value in (one, other)]
        if ordered and kind == TEXT:
            sides = [by_code_point(side) for side in sides]
        result: ColumnElement[bool] = compare(*sides)
        return result

    def quoted(self, name: ast.expr, text: ast.expr, shown: str) -> None:
        """Refuse a bare word that is to be a text: ``optimizer = adam``."""
        column = self.columns.get(name.id) if isinstance(name, ast.Name) else None
        if column is None or not isinstance(column.type, String) or not isinstance(text, ast.Name):
            return
        if text.id not in self.columns and text.id not in self.hparam_names:
            raise QueryError(
                f"`{shown}`: there is no column {text.id!r}; quote text: {ast.unparse(name)} = "
                f"'{text.id}'."
            )

    def known(self, name: _Value, text: _Value) -> None:
        """Refuse a text that no run has in a column of few: ``optimizer = 'adan'``."""
        if name.column is None or not text.is_constant:
            return
        values = self.values(name.source)
        if text.constant not in values and values:  # to count them may read every run
            raise UnknownNameError(name.source, text.constant, values)

    def common_kind(self, one: _Value, other: _Value, shown: str) -> str:
        kinds = {value.kind for value in (one, other) if value.kind is not None}
        if len(kinds) > 1:
            texts = [value.source for value in (one, other) if value.kind == TEXT]
            hint = f' Write "{other.source}" for a text.' if one.source in texts else ""
            raise QueryError(f"{shown} compares a {one.kind} with a {other.kind}.{hint}")
        return kinds.pop() if kinds else NUMBER

    def value(self, node: ast.expr) -> _Value:
        source = ast.unparse(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self.value(node.operand)
            if inner.is_constant and inner.kind == NUMBER:
                sign = -1 if isinstance(node.op, ast.USub) else 1
                return _Value(source, NUMBER, sign * inner.constant)
        if isinstance(node, ast.Constant):
            for kind, types in ((BOOLEAN, bool), (NUMBER, int | float), (TEXT, str)):
                if isinstance(node.value, types):
                    return _Value(source, kind, node.value)
            if node.value is None:
                return _Value(source, NULL)
        if isinstance(node, ast.Name):
            return self.name(node.id)
        match node:
            case ast.Subscript(slice=ast.Constant(value=str(target))):
                return self.name(f"{ast.unparse(node.value)}[{target}]")
        if isinstance(node, ast.Attribute):  # of an imported run, a name may have points in it
            name = source.removeprefix("hparams.")
            if name in self.hparam_names:
                return _Value(source, None, hparam=name)
            if name != source:
                raise UnknownNameError("hyperparameter", name, self.hparam_names)
        raise QueryError(f"`{source}` cannot be used in a condition. {EXAMPLE}")

    def name(self, name: str) -> _Value:
        if name in self.columns:
            column = self.columns[name]
            return _Value(name, TEXT if isinstance(column.type, String) else NUMBER, column=column)
        if name in self.hparam_names:
            return _Value(name, None, hparam=name)
        raise UnknownNameError("column", name, {*self.columns, *self.hparam_names})

    def typed(self, value: _Value, kind: str) -> ColumnElement[Any]:
        """The value as SQL, of a kind that it is compared as."""
        if value.column is not None:
            return value.column
        if value.hparam is not None:
            return hparam_value(self.hparams, value.hparam, kind)
        if value.constant is True:
            return true()
        if kind == NUMBER:  # of a type that PostgreSQL neither rounds nor finds too small
            fits = isinstance(value.constant, int) and abs(value.constant) < 2**63
            number = value.constant if fits else _as_float(value.constant)
            return literal(number, BigInteger() if fits else Float())
        return literal(value.constant)

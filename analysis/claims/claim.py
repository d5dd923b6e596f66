"""A claim: what is stated, of which runs, and what difference it takes to hold."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

from oodbench.errors import RequestError, UnknownNameError, check_name
from oodbench.results.select import RUN_RULES
from oodbench.siblings import sibling

from ..compare.verdicts import DEPENDS
from ..curves.verdicts import NOT_DETERMINED, VERDICTS
from ..stats.testing import MARGIN

RETURNS = "returns"
SCORES = ("id", "ood", RETURNS)
EXPECTED = ("lower", "no difference", "higher")
"""What a claim says of ``a`` less ``b``."""
TYPES = tuple(one for one in VERDICTS if one != NOT_DETERMINED)
"""What a claim about returns says of each return curve."""

KINDS = ("adaptive", "non-adaptive")
"""What ``a`` and ``b`` may be, beside names of optimizers."""

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Population:
    """The runs that a claim is about; an empty field leaves out none.

    Attributes:
        datasets: Names.
        shift: Class of shift of the dataset.
        algorithms: Names.
        optimizers: Names: of the two kinds, these.
        where: A condition, as for ``oodbench query``.
    """

    datasets: tuple[str, ...] = ()
    shift: str = ""
    algorithms: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Estimand:
    """What a claim is about: the expected accuracy of a selected run, or return curves.

    Attributes:
        score: ``id`` or ``ood``; or ``returns``: the type of each return curve, for which neither a
            rule nor a budget counts.
        rule: How a run is selected.
        budget: Trials of each; None: see ``analysis.compare_optimizers``.
    """

    score: str = "ood"
    rule: str = "id_val"
    budget: float | None = None


@dataclass(frozen=True)
class Claim:
    """A statement that runs can decide.

    Attributes:
        claim: The statement, in a sentence.
        source: Who makes it, and where.
        expect: What ``a`` may be, compared with ``b``, for it to hold: some of ``EXPECTED``; of a
            claim about returns some of ``TYPES``.
        refuted: What would refute it, in words.
        a, b: Optimizers, or the kinds ``adaptive`` and ``non-adaptive``; unused for returns.
        population: Which runs.
        estimand: Which number of them.
        margin: Accuracies closer than this are no different; a fraction.
        sweep: The sweep file that would decide it, if one is shipped.
        cost: What that takes, as counted by its dry run.
    """

    claim: str
    source: str
    expect: tuple[str, ...]
    refuted: str
    a: str = KINDS[0]
    b: str = KINDS[1]
    population: Population = field(default_factory=Population)
    estimand: Estimand = field(default_factory=Estimand)
    margin: float = MARGIN
    sweep: str = ""
    cost: str = ""

    def __post_init__(self) -> None:
        check_name("score", self.estimand.score, SCORES)
        allowed = TYPES if self.of_returns else EXPECTED
        for expected in self.expect:
            check_name("expectation", expected, allowed)
        if not 0 < len(set(self.expect)) < len(allowed):
            raise RequestError(
                f"expect must be some of {', '.join(allowed)}, and not all, but got "
                f"{list(self.expect)}: nothing would refute the claim, or nothing bear it out."
            )
        check_name("selection rule", self.estimand.rule, RUN_RULES)
        if not 0 < self.margin < 1:
            raise RequestError(f"margin must be a fraction between 0 and 1, but got {self.margin}.")
        if self.a == self.b or (self.by_kind and {self.a, self.b} != set(KINDS)):
            raise RequestError(
                f"A claim compares two optimizers, or {' and '.join(KINDS)}, but got a: "
                f"{self.a!r} and b: {self.b!r}."
            )

    @property
    def of_returns(self) -> bool:
        """Whether it is about return curves, not about a comparison."""
        return self.estimand.score == RETURNS

    @property
    def by_kind(self) -> bool:
        """Whether kinds of optimizers are compared."""
        return self.a in KINDS or self.b in KINDS

    @classmethod
    def of(cls, values: Any, source: str = "claim") -> "Claim":
        """The claim that a file states.

        Args:
            values: What it says: keys and values.
            source: The file, for errors.

        Raises:
            RequestError: A key is missing, or a value is none that it may have.
            UnknownNameError: There is no such key, score, rule or expectation.
        """
        found: Claim = _read(cls, values, source)
        return found

    def verdict(self, row: Mapping[str, Any]) -> str:
        """``HOLDS``, ``FAILS``, ``UNDECIDED`` or ``DEPENDS`` of a row of a comparison of a and b.

        With the cuts of the search spaces under which it is lost: ``holds, but not under ...``.
        """
        said = str(row["verdict"])
        if said == DEPENDS:
            found = DEPENDS
        elif said in EXPECTED:
            found = HOLDS if said in self.expect else FAILS
        else:
            found = UNDECIDED
        return f"{found}, but not under {row['not_under']}" if row["not_under"] else found


_PARTS = {"population": Population, "estimand": Estimand}
_NAMES = ("datasets", "algorithms", "optimizers", "expect")
_NUMBERS = ("margin", "budget")


def _read(kind: Any, values: Any, source: str) -> Any:
    """A record, from keys and values."""
    if not isinstance(values, Mapping):
        raise RequestError(f"{source} needs keys and values, but got {values!r}.")
    known = [item.name for item in fields(kind)]
    for key in values:
        if key not in known:
            raise UnknownNameError("key", key, known, where=source)
    given = {key: _value(key, value, f"{source}: {key}") for key, value in values.items()}
    needed = [
        item.name
        for item in fields(kind)
        if item.default is MISSING and item.default_factory is MISSING
    ]
    if lacking := [name for name in needed if name not in given]:
        raise RequestError(f"{source} needs the keys {', '.join(needed)}; add {lacking[0]}.")
    return kind(**given)


def _value(key: str, value: Any, source: str) -> Any:
    if key in _PARTS:
        return _read(_PARTS[key], value, source)
    if key in _NAMES:
        wanted = "names, in a list"
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    elif key in _NUMBERS:
        wanted, good = "a number", type(value) in (int, float)
    else:
        wanted, good = "text", isinstance(value, str) and bool(value.strip())
    if not good:
        raise RequestError(f"{source} needs {wanted}, but got {value!r}.")
    return tuple(value) if isinstance(value, list) else value


@cache
def shipped(name: str) -> Claim:
    """A claim of ``sweeps/claims``, by its name, such as ``naganuma2023-i``."""
    from ruamel.yaml import YAML  # late: only what judges claims needs it

    path = sibling("sweeps") / "claims" / f"{name}.yaml"
    return Claim.of(YAML(typ="safe", pure=True).load(path), path.name)

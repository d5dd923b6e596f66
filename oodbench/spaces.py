"""Search spaces as data: what may be drawn for each hyperparameter, and how.

In YAML a range is ``{log: [1e-4, 1]}``, ``{uniform: [0, 0.5]}``, ``{int: [1, 8]}``,
``{one_minus_log: [0.001, 0.5]}`` or ``{choice: [32, 64]}``; a plain value is a constant.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError, check_name

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """An interval of numbers, drawn uniformly on its scale.

    Attributes:
        low: Lower end, included.
        high: Upper end, included.
        scale: ``uniform``; ``log`` (uniform in the logarithm); ``int`` (whole numbers);
            ``one_minus_log``: 1 minus a log-uniform number between 1 - high and 1 - low, the
            natural scale of momentum and of Adam's betas (Choi et al. 2019, arXiv 1910.05446).

    Raises:
        RequestError: If the interval is empty or does not fit its scale.
    """

    low: float
    high: float
    scale: str = "uniform"

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
                raise RequestError(f"A range needs two finite numbers, but got {end!r}.")
        if not self.low < self.high:
            raise RequestError(
                f"A range needs low < high, but got [{self.low}, {self.high}]. "
                "For one fixed value write the value alone."
            )
        if self.scale == "log" and self.low <= 0:
            raise RequestError(f"A log range needs low > 0, but got {self.low}.")
        if self.scale == "one_minus_log" and self.high >= 1:
            raise RequestError(f"A one_minus_log range needs high < 1, but got {self.high}.")
        if self.scale == "int" and not (self.low == int(self.low) and self.high == int(self.high)):
            raise RequestError(f"An int range needs whole ends, got [{self.low}, {self.high}].")
        object.__setattr__(self, "low", self.coerce(self.low))  # [1, 10] and [1.0, 10.0] are one
        object.__setattr__(self, "high", self.coerce(self.high))

    def distribution(self) -> "BaseDistribution":
        """What Optuna samples: the value itself, or 1 minus it where the scale says so."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.scale == "int":
            return IntDistribution(int(self.low), int(self.high))
        if self.scale == "one_minus_log":
            return FloatDistribution(1 - self.high, 1 - self.low, log=True)
        return FloatDistribution(self.low, self.high, log=self.scale == "log")

    def value(self, sampled: Any) -> Scalar:
        """The hyperparameter for what Optuna sampled, rounded to 6 significant digits."""
        if self.scale == "int":
            return int(sampled)
        if self.scale == "one_minus_log":
            sampled = 1 - float(sampled)
        return self._rounded(float(sampled))

    def sampled(self, value: Any) -> int | float:
        """What Optuna samples for a hyperparameter: the inverse of ``value``, up to rounding."""
        if self.scale == "int":
            return int(value)
        if self.scale == "one_minus_log":
            return min(max(1 - float(value), 1 - self.high), 1 - self.low)
        return float(value)

    def at(self, u: float) -> Scalar:
        """The value at ``u`` between 0 and 1 on the range's own scale; see ``position``."""
        low, high = float(self.low), float(self.high)
        if self.scale == "int":
            values = int(high - low) + 1
            return int(low) + min(int(u * values), values - 1)
        if self.scale == "log":
            return self._rounded(low * (high / low) ** u)
        if self.scale == "one_minus_log":
            return self._rounded(1 - (1 - low) * ((1 - high) / (1 - low)) ** u)
        return self._rounded(low + u * (high - low))

    def spread(self, points: int) -> list[Scalar]:
        """Up to ``points`` different values at equal distances on the range's own scale."""
        return list(dict.fromkeys(self.at(i / max(1, points - 1)) for i in range(points)))

    def _rounded(self, value: float) -> float:
        return min(max(float(f"{value:.6g}"), float(self.low)), float(self.high))

    def coerce(self, value: Any) -> int | float:
        """``value`` in this range's type, so that 1 and 1.0 are the same trial.

        Raises:
            RequestError: If a whole number is needed and this is none.
        """
        if self.scale == "int" and value != int(value):
            raise RequestError(f"A whole number is needed, but got {value!r}.")
        return int(value) if self.scale == "int" else float(value)

    def position(self, value: float) -> float:
        """Where ``value`` lies on the range's own scale: 0 at the low end, 1 at the high end."""
        low, high = float(self.low), float(self.high)
        if self.scale == "log":
            low, high, value = math.log(low), math.log(high), math.log(value)
        elif self.scale == "one_minus_log":
            low, high, value = -math.log1p(-low), -math.log1p(-high), -math.log1p(-value)
        return (value - low) / (high - low)

    def to_yaml(self) -> dict[str, list[float]]:
        """The range as a sweep file writes it."""
        return {self.scale: [self.low, self.high]}


@dataclass(frozen=True)
class Choice:
    """One of a few values, each equally likely. One value alone is a constant.

    Attributes:
        values: What may be drawn.
        allowed: What may be drawn instead, if asked for; empty: anything.

    Raises:
        RequestError: If there are no values, or one comes twice, is not finite or no scalar.
    """

    values: tuple[Scalar, ...]
    allowed: tuple[Scalar, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.values:
            raise RequestError("A choice needs at least one value, but got [].")
        for value in self.values:
            if not isinstance(value, bool | int | float | str):
                raise RequestError(f"A choice takes numbers, strings and booleans, not {value!r}.")
            if isinstance(value, float) and not math.isfinite(value):
                raise RequestError(f"A finite number is needed, but got {value!r}.")
        if len(set(self.values)) < len(self.values):
            raise RequestError(f"A choice needs different values, but got {list(self.values)}.")

    def distribution(self) -> "BaseDistribution":
        """The distribution that Optuna samples."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def value(self, sampled: Any) -> Scalar:
        """The hyperparameter for what Optuna sampled."""
        return self.coerce(sampled)

    def sampled(self, value: Any) -> Scalar:
        """What Optuna samples for a hyperparameter."""
        return self.coerce(value)

    def coerce(self, value: Any) -> Scalar:
        """``value`` as the choice lists it."""
        return next((known for known in self.values if known == value), value)

    def at(self, u: float) -> Scalar:
        """The value at ``u`` between 0 and 1, each having an equal share."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def spread(self, points: int) -> list[Scalar]:
        """Every value: a choice is not thinned out."""
        return list(self.values)

    def to_yaml(self) -> dict[str, list[Scalar]] | Scalar:
        """The choice as a sweep file writes it."""
        return self.values[0] if len(self.values) == 1 else {"choice": list(self.values)}


Space = Mapping[str, Range | Choice]
SCALES = ("uniform", "log", "one_minus_log", "int")


def log(low: float, high: float) -> Range:
    """A range that is sampled uniformly in its logarithm."""
    return Range(low, high, "log")


def one_minus_log(low: float, high: float) -> Range:
    """A range of 1 minus a log-uniform number: for momentum and betas."""
    return Range(low, high, "one_minus_log")


def uniform(low: float, high: float) -> Range:
    """A range that is sampled uniformly."""
    return Range(low, high)


def parse(text: Any) -> Range | Choice:
    """A range or a choice from its YAML form.

    Raises:
        RequestError: If the form is not one of those in this module's docstring.
    """
    if isinstance(text, bool | int | float | str):
        return Choice((text,))
    forms = [*SCALES, "choice"]
    if not isinstance(text, Mapping) or len(text) != 1:
        raise RequestError(
            f"A search range is a value or one of {{{', '.join(forms)}}}: [...], but got {text!r}."
        )
    ((form, values),) = text.items()
    check_name("range", form, forms)
    if not isinstance(values, list):
        raise RequestError(f"{form} needs a list, but got {values!r}.")
    if form == "choice":
        return Choice(tuple(values))
    if len(values) != 2:
        raise RequestError(f"{form} needs two ends, [low, high], but got {values!r}.")
    return Range(values[0], values[1], form)


def override(space: Space, changes: Mapping[str, Any], owner: str) -> dict[str, Range | Choice]:
    """``space`` with the YAML ranges of ``changes`` in place of its own.

    A fixed value is coerced to the type of the range that it replaces.

    Raises:
        UnknownNameError: If ``owner`` does not take one of the hyperparameters, or of the values.
        RequestError: If a range is not well formed.
    """
    result = dict(space)
    for name, text in changes.items():
        if name not in space:
            raise UnknownNameError("hyperparameter", name, space, where=owner)
        try:
            new, old = parse(text), space[name]
            if isinstance(new, Choice) and isinstance(old, Range):
                for value in new.values:
                    if isinstance(value, bool | str):
                        raise RequestError(f"A number is needed, but got {value!r}.")
                new = Choice(tuple(old.coerce(value) for value in new.values))
            elif isinstance(old, Choice) and not old.allowed:
                check_kind(new, old)
        except RequestError as error:
            raise RequestError(f"{owner}, {name}: {error}") from error
        allowed = old.allowed if isinstance(old, Choice) else ()
        for value in new.values if isinstance(new, Choice) and allowed else ():
            if value not in allowed:
                raise UnknownNameError(name, value, map(str, allowed), where=owner)
        if allowed and isinstance(new, Range):
            raise RequestError(f"{owner}, {name}: needs one of {list(allowed)}, not a range.")
        result[name] = new
    return result


def check_kind(new: Range | Choice, old: Choice) -> None:
    """Raise RequestError if not all that may be drawn now is of the kind that it was before."""
    kinds = {bool: "true or false", str: "text"}
    wanted, *others = {kinds.get(type(value), "a number") for value in old.values}
    for value in new.values if isinstance(new, Choice) else (new.low,):
        if not others and kinds.get(type(value), "a number") != wanted:
            raise RequestError(f"Needed is {wanted}, but got {value!r}.")

"""Which optimizer to train with, for a class of shift: the ones that no other beats, or none."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..runs.names import pretty

UNDECIDED = "undecided"


@dataclass(frozen=True)
class Recommendation:
    """Advice for one class of shift and one algorithm.

    Attributes:
        shift: The class, or empty where it is not known.
        algorithm: Its name.
        datasets: Names of those that it rests on.
        optimizers: Those that no other optimizer beats in OOD accuracy, best first; empty for
            "undecided".
        words: The advice, with the numbers that it rests on.
    """

    shift: str
    algorithm: str
    datasets: str
    optimizers: tuple[str, ...]
    words: str


def recommend(classes: pd.DataFrame) -> tuple[Recommendation, ...]:
    """One recommendation per class of shift and algorithm.

    Of each optimizer, the run that the rule selects at equal budget is scored out of distribution,
    on average over the datasets of the class. An optimizer is advised against if another one's is
    higher (Holm-corrected, over all pairs). If that leaves every optimizer or none, the advice is
    *undecided*; if it leaves some, they are undecided among themselves. Where even the best is at
    or below chance accuracy, no optimizer is recommended: it takes another algorithm or rule. Of
    optimizers with too few trials for any test nothing is said.

    Args:
        classes: ``compare_by_class`` of every pair of optimizers.
    """
    ood = classes[classes["score"] == "ood"]
    return tuple(
        _advice(str(shift), str(algorithm), rows)
        for (shift, algorithm), rows in ood.groupby(["shift", "algorithm"], sort=False)
    )


def _advice(shift: str, algorithm: str, rows: pd.DataFrame) -> Recommendation:
    values = dict(zip(rows["a"], rows["value_a"], strict=True))
    values |= dict(zip(rows["b"], rows["value_b"], strict=True))
    every = sorted(values, key=lambda name: -values[name])
    tests = rows[rows["p"].notna()]
    tested = [name for name in every if name in {*tests["a"], *tests["b"]}]
    beaten = {*rows["a"][rows["verdict"] == "lower"], *rows["b"][rows["verdict"] == "higher"]}
    one = rows.iloc[0]
    left, words = _judged(tested, beaten, values, float(one["chance"]))
    untested = ", ".join(pretty(name) for name in every if name not in tested)
    few = f"too few trials to test {untested}; " if tested and untested else ""
    scores = ", ".join(f"{pretty(name)} {values[name]:.3f}" for name in every)
    basis = f"{few}OOD accuracy of the best by {one['rule']} of {amount(one)}: {scores}"
    return Recommendation(shift, algorithm, str(one["datasets"]), left, f"{words} ({basis}).")


def _judged(
    tested: Sequence[str], beaten: Collection[str], values: Mapping[str, float], chance: float
) -> tuple[tuple[str, ...], str]:
    """The optimizers that are advised, and the advice; ``tested`` is sorted, best first."""
    left = tuple(name for name in tested if name not in beaten)
    if not tested:
        return (), f"{UNDECIDED}: there are too few trials to test any difference"
    if values[tested[0]] <= chance:
        return (), (
            f"none: no optimizer's selected run is above chance ({chance:.3g}) out of distribution"
        )
    if len(left) == len(tested):
        return (), f"{UNDECIDED}: no optimizer beats another"
    if not left:
        return (), f"{UNDECIDED}: every optimizer is beaten by another"
    if len(left) == 1:
        return left, f"{pretty(left[0])}: every other optimizer is beaten by another"
    *most, last = map(pretty, left)
    several = f"{', '.join(most)} or {last}"
    return left, f"{several}: undecided between them; every other is beaten by another"


def amount(row: "Mapping[Any, Any] | pd.Series[Any]") -> str:
    """The budget of a comparison, such as ``104 trials``."""
    unit = str(row["unit"]).replace("_", " ")
    return f"{row['budget']:,.6g} {unit.removesuffix('s') if row['budget'] == 1 else unit}"

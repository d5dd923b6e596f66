"""Which optimizer to train with, for a class of shift: the ones that no other beats, or none."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..compare.budgets import SMALLEST
from ..runs.names import pretty
from ..stats.best_of import INDEPENDENT
from ..stats.testing import LEVEL
from .claims import UNDECIDED, amount, covered


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
    """One recommendation per class of shift and algorithm; unknown shift: per dataset.

    Of each optimizer, the run that the rule selects at equal budget is scored out of distribution,
    on average over the datasets of the class. An optimizer is advised against if another one's is
    higher (Holm-corrected, over all pairs looked at). If that leaves every optimizer or none, the
    advice is *undecided*; if it leaves some, they are undecided among themselves. Where even the
    best is at or below chance accuracy, no optimizer is recommended: it takes another algorithm or
    rule. Of optimizers with too few trials for any test nothing is said, and a single trial of each
    recommends nothing.

    Args:
        classes: ``compare_by_class`` of every pair of optimizers.
    """
    ood = classes[classes["score"] == "ood"]
    groups = ood.groupby(["shift", "algorithm", "names"], sort=False)
    return tuple(_advice(rows, len(ood)) for _, rows in groups)


def _advice(rows: pd.DataFrame, looked_at: int) -> Recommendation:
    """The advice on one class and algorithm; ``looked_at``: pairs, of all of them."""
    values = dict(zip(rows["a"], rows["value_a"], strict=True))
    values |= dict(zip(rows["b"], rows["value_b"], strict=True))
    every = sorted(values, key=lambda name: -values[name])
    one = rows.to_dict("records")[0]
    tests = rows[rows["p"].notna()]
    tested = [name for name in every if name in {*tests["a"], *tests["b"]}]
    lower, higher = rows["verdict"] == "lower", rows["verdict"] == "higher"
    losers = {*rows["a"][lower], *rows["b"][higher]}
    left, words = _judged(tested, losers, values, one)
    if left:
        wins = rows[(rows["a"].isin(left) & higher) | (rows["b"].isin(left) & lower)]
        words += _exceptions(wins) + _reach(wins)
    untested = ", ".join(pretty(name) for name in every if name not in tested)
    few = f"too few trials to test {untested}; " if tested and untested else ""
    known = [name for name in every if values[name] == values[name]]  # not NaN
    scores = ", ".join(f"{pretty(name)} {values[name]:.3f}" for name in known)
    basis = f"{few}OOD accuracy of the best by {one['rule']} of {amount(one)}: {scores}"
    made = f"; {looked_at} pairs looked at; {covered(one)}" if len(tests) else ""
    shift, algorithm, names = (str(one[name]) for name in ("shift", "algorithm", "names"))
    return Recommendation(shift, algorithm, names, left, f"{words} ({basis}{made}).")


def _exceptions(wins: pd.DataFrame) -> str:
    """The cuts of the search spaces under which some win is lost."""
    named = [cut for text in wins["not_under"] for cut in text.split(", ") if cut]
    return f"; not under {', '.join(dict.fromkeys(named))}" if named else ""


def _reach(wins: pd.DataFrame) -> str:
    """Whether the wins are on datasets of this class, or on these alone."""
    number = int(wins["datasets"].max())
    if number < 2:
        return "; on this dataset"
    wide = bool((wins["population_p_holm"] < LEVEL).all())
    return f"; on these {number} datasets" + (", and on datasets of this class" if wide else "")


def _judged(
    tested: Sequence[str],
    beaten: Collection[str],
    values: Mapping[str, float],
    one: Mapping[Any, Any],
) -> tuple[tuple[str, ...], str]:
    """The optimizers that are advised, and the advice; ``tested`` is sorted, best first."""
    chance = float(one["chance"])
    left = tuple(name for name in tested if name not in beaten)
    if not tested:
        return (), f"{UNDECIDED}: there are too few trials to test any difference"
    if one["unit"] == "trials" and one["budget"] < SMALLEST:
        return (), (
            f"{UNDECIDED}: searches of fewer than {INDEPENDENT * SMALLEST} trials say nothing of "
            "tuned optimizers"
        )
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

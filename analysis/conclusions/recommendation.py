"""Which optimizer to train with, for a class of shift: the ones that no other beats, or none."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..claims.claim import UNDECIDED
from ..compare.best import wins_of_best
from ..compare.budgets import SMALLEST
from ..runs.names import pretty, shift_name
from ..stats.best_of import INDEPENDENT
from ..stats.testing import LEVEL
from .claims import amount, covered
from .sentences import corrected, ends


@dataclass(frozen=True)
class Recommendation:
    """Advice for one class of shift and one algorithm.

    Attributes:
        shift: The class, or empty where it is not known.
        algorithm: Name of the algorithm.
        datasets: Names of those that it rests on.
        optimizers: The optimizers that no other optimizer beats in OOD accuracy, best first; empty
            for "undecided".
        answer: Which optimizer, such as ``undecided: no optimizer beats another``.
        margin: By how much, with its 95% interval; empty where nothing is tested.
        basis: What is compared, such as ``OOD accuracy of the best by id_val of 8 trials of each``.
        scores: Scores of each optimizer.
        limits: Where the answer ends: datasets, search spaces, optimizers of too few trials.
        covers: What the intervals cover, and what not; empty where nothing is tested.
    """

    shift: str
    algorithm: str
    datasets: str
    optimizers: tuple[str, ...]
    answer: str
    margin: str
    basis: str
    scores: str
    limits: tuple[str, ...]
    covers: str

    @property
    def name(self) -> str:
        """Algorithm and datasets, such as ``ERM on PACS``."""
        return f"{pretty(self.algorithm)} on {self.datasets}"

    @property
    def where(self) -> str:
        """Algorithm, datasets and shift, such as ``ERM on PACS (diversity shift)``."""
        return f"{self.name} ({shift_name(self.shift)})"

    @property
    def details(self) -> tuple[str, ...]:
        """What the answer rests on, and where it ends."""
        ends_at = [*self.limits, *([self.covers] if self.covers else [])]
        return (f"{self.basis}: {self.scores}", *ends_at)

    @property
    def words(self) -> str:
        """The advice, with the numbers that it rests on."""
        found = f"{self.answer}; {self.margin}" if self.margin else self.answer
        return f"{found} ({'; '.join(self.details)})."


def recommend(classes: pd.DataFrame) -> tuple[Recommendation, ...]:
    """One recommendation per class of shift and algorithm; unknown shift: per dataset.

    Of each optimizer, the run that the rule selects at equal budget is scored out of distribution,
    on average over the datasets of the class. One that beats each of the others is recommended
    (``analysis.compare.best``). Else an optimizer is advised against if another one's is higher
    (Holm-corrected, over all pairs looked at). If that leaves every optimizer or none, the
    advice is *undecided*; if it leaves some, they are undecided among themselves. Where even the
    best is at or below chance accuracy, no optimizer is recommended: it takes another algorithm or
    rule. Optimizers with too few trials for any test are left out, and a single trial of each
    recommends nothing.

    Args:
        classes: ``compare_by_class`` of every pair of optimizers.
    """
    ood = classes[classes["score"] == "ood"]
    groups = [rows for _, rows in ood.groupby(["shift", "algorithm", "names"], sort=False)]
    return tuple(_advice(rows, len(ood), len(groups)) for rows in groups)


def _advice(rows: pd.DataFrame, looked_at: int, questions: int) -> Recommendation:
    """The advice on one class and algorithm.

    Args:
        rows: Pairs of the recommendation.
        looked_at: Pairs, of all classes and algorithms.
        questions: Classes and algorithms.
    """
    values = dict(zip(rows["a"], rows["value_a"], strict=True))
    values |= dict(zip(rows["b"], rows["value_b"], strict=True))
    every = sorted(values, key=lambda name: -values[name])
    one = rows.to_dict("records")[0]
    tests = rows[rows["p"].notna()]
    tested = [name for name in every if name in {*tests["a"], *tests["b"]}]
    lower, higher = rows["verdict"] == "lower", rows["verdict"] == "higher"
    losers = {*rows["a"][lower], *rows["b"][higher]}
    wins = wins_of_best(tests, tested, questions) if tested else tests
    alone = len(wins) > 0
    if alone:
        losers = set(tested[1:])
    left, answer = _judged(tested, losers, values, one)
    if not alone:
        wins = rows[(rows["a"].isin(left) & higher) | (rows["b"].isin(left) & lower)]
    untested = ", ".join(pretty(name) for name in every if name not in tested)
    known = [name for name in every if values[name] == values[name]]  # not NaN
    scores = ", ".join(f"{pretty(name)} {values[name]:.3f}" for name in known)
    limits = [
        *([f"too few trials to test {untested}"] if tested and untested else []),
        *([_reach(wins)] if left else []),
        *([f"not under {cuts}"] if (cuts := _exceptions(wins)) else []),
        *([f"{looked_at} pairs looked at"] if len(tests) else []),
    ]
    above_chance = left or answer.startswith(UNDECIDED)
    shift, algorithm, names = (str(one[name]) for name in ("shift", "algorithm", "names"))
    return Recommendation(
        *(shift, algorithm, names, left, answer),
        _margin(wins if left else tests, tested, left) if above_chance else "",
        f"OOD accuracy of the best by {one['rule']} of {amount(one)}",
        scores,
        tuple(limits),
        covered(one) if len(tests) else "",
    )


def _margin(pairs: pd.DataFrame, tested: Sequence[str], left: Sequence[str]) -> str:
    """By how much the best wins that is decided; where nothing is, the best against the last.

    Args:
        pairs: The wins of those that are left; all tests where none is.
        tested, left: Optimizers, best first.
    """
    if len(tested) < 2:
        return ""
    place = {name: i for i, name in enumerate(tested)}
    found = []
    for row in pairs[np.isfinite(pairs["low"])].to_dict("records"):
        higher, lower = sorted((row["a"], row["b"]), key=lambda name: place[name])
        found.append((place[higher], place[lower], row, higher, lower))
    if not left:
        found = [one for one in found if one[:2] == (0, len(tested) - 1)]
    if not found:
        return ""
    _, _, row, higher, lower = min(found, key=lambda one: one[:2])
    sign = 1 if row["a"] == higher else -1
    low, high = sorted((sign * row["low"], sign * row["high"]))
    between = ends(low, high) + ("" if left else corrected(row))
    value = f"{abs(100 * row['difference']):.1f} points"
    return f"{pretty(higher)} {value} above {pretty(lower)} ({between})"


def _exceptions(wins: pd.DataFrame) -> str:
    """The cuts of the search spaces under which some win is lost, or empty."""
    return ", ".join(dict.fromkeys(c for text in wins["not_under"] for c in text.split(", ") if c))


def _reach(wins: pd.DataFrame) -> str:
    """Whether the wins are on datasets of this class, or on these alone."""
    number = int(wins["datasets"].max())
    if number < 2:
        return "on this dataset"
    wide = bool((wins["population_p_holm"] < LEVEL).all())
    return f"on these {number} datasets" + (", and on datasets of this class" if wide else "")


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
        return (), f"none is above chance ({chance:.3g}) out of distribution"
    if len(left) == len(tested):
        return (), f"{UNDECIDED}: no optimizer beats another"
    if not left:
        return (), f"{UNDECIDED}: every optimizer is beaten by another"
    gone = [pretty(name) for name in tested if name in beaten]
    if len(gone) < len(left):
        return left, f"any but {either(gone)}: no other is beaten"
    if len(left) == 1:
        return left, f"{pretty(left[0])}: every other optimizer is beaten"
    return left, f"{either(map(pretty, left))}: undecided between them; every other is beaten"


def either(names: Iterable[str]) -> str:
    """The names joined by "or", such as ``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last

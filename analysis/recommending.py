"""Which optimizer to train with, for a class of shift: the ones that no other beats, or none."""

from dataclasses import dataclass

import pandas as pd

from analysis.names import pretty

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
    or below chance accuracy, no optimizer is recommended: it takes another algorithm or rule.

    Args:
        classes: ``compare_by_class`` of every pair of optimizers.
    """
    ood = classes[classes["score"] == "ood"]
    return tuple(
        _advice(str(shift), str(algorithm), rows)
        for (shift, algorithm), rows in ood.groupby(["shift", "algorithm"], sort=False)
    )


def _advice(shift: str, algorithm: str, rows: pd.DataFrame) -> Recommendation:
    values = {**dict(zip(rows["a"], rows["value_a"], strict=True))}
    values |= dict(zip(rows["b"], rows["value_b"], strict=True))
    beaten = {*rows["a"][rows["verdict"] == "lower"], *rows["b"][rows["verdict"] == "higher"]}
    ranked = sorted(values, key=lambda name: -values[name])
    left = tuple(name for name in ranked if name not in beaten)
    scores = ", ".join(f"{pretty(name)} {values[name]:.3f}" for name in ranked)
    one = rows.iloc[0]
    chance = float(one["chance"])
    basis = (
        f"OOD accuracy of the best by {one['rule']} of {one['budget']:,.6g} "
        f"{str(one['unit']).replace('_', ' ')}: {scores}"
    )
    if values[ranked[0]] <= chance:
        left = ()
        words = (
            f"none: no optimizer's selected run is above chance ({chance:.3g}) out of distribution"
        )
    elif len(left) == len(ranked):
        left, words = (), f"{UNDECIDED}: no optimizer beats another"
    elif not left:
        words = f"{UNDECIDED}: every optimizer is beaten by another"
    elif len(left) == 1:
        words = f"{pretty(left[0])}: every other optimizer is beaten by another"
    else:
        *most, last = map(pretty, left)
        several = f"{', '.join(most)} or {last}"
        words = f"{several}: undecided between them; every other is beaten by another"
    return Recommendation(shift, algorithm, str(one["datasets"]), left, f"{words} ({basis}).")

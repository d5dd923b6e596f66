"""Claims about returns: of which type are the return curves of a population?"""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from oodbench.results.predictions import Predictions

from ..curves.return_curves import return_curves
from ..curves.verdicts import NOT_DETERMINED
from ..runs.names import group_name
from .claim import FAILS, HOLDS, UNDECIDED, Claim


def judged_returns(
    claim: Claim, runs: pd.DataFrame, predictions: Sequence[Predictions], seed: int
) -> tuple[str, tuple[str, ...]]:
    """The verdict on a claim about returns, and the types of the curves behind it.

    There is a curve for each dataset, choice of test environments, algorithm and optimizer. The
    claim does not hold where one curve is of another type than those that are expected. It holds
    where none is, and at least half of the curves are of a type that is determined.

    Args:
        claim: The claim; its margin is the least bend of a curve that is not linear.
        runs: The runs of its population.
        predictions: What they predicted.
        seed: Seed of the bootstrap.

    Returns:
        The verdict, and a reason for each dataset with each algorithm.

    Raises:
        RequestError: A column is missing.
    """
    curves = return_curves(runs, predictions=predictions, smallest_bend=claim.margin, seed=seed)
    found = Counter(curve.verdict for curve in curves.values())
    determined = found.total() - found[NOT_DETERMINED]
    if any(name not in (*claim.expect, NOT_DETERMINED) for name in found):
        verdict = FAILS
    else:
        verdict = HOLDS if 2 * determined >= found.total() else UNDECIDED
    by_place: dict[str, Counter[str]] = {}
    for (dataset, tested, algorithm, _), curve in curves.items():
        place = group_name(dataset, tested, algorithm)
        by_place.setdefault(place, Counter())[curve.verdict] += 1
    reasons = (
        f"{place}: {', '.join(f'{count} {name}' for name, count in types.most_common())}"
        for place, types in by_place.items()
    )
    return verdict, tuple(reasons)

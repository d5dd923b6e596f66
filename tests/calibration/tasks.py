"""Optimizers and kinds on average over datasets and environments."""

from collections.abc import Iterator
from functools import partial

import analysis

from .panels import BETTER, Compared
from .rates import Scenario
from .studies import Design, optimizers

of_optimizers = analysis.compare_across
of_kinds = partial(analysis.compare_across, by="kind")

PLACES = {
    "4 datasets": (4, 1),
    "8 datasets": (8, 1),
    "1 dataset, 4 environments": (1, 4),
    "2 datasets, 4 environments each": (2, 4),
}


def scenarios() -> Iterator[Scenario]:
    """Every scenario of this part."""
    two, four = optimizers(2), optimizers(4)
    for place, (datasets, environments) in PLACES.items():
        for shared, how in ((True, "the same draws"), (False, "draws of their own")):
            design = Design(two, 64, datasets, environments, shared_draws=shared)
            yield Scenario(
                f"2 equal optimizers, {place}, {how}", Compared(design, of_optimizers), 100
            )
    better = Compared(Design(two, 64, 4).with_ood(3, BETTER), of_optimizers)
    yield Scenario("one of 2 better by 3 points, 4 datasets", better, 100)
    lost = Compared(Design(two, 64, 4, lost=0.4, chance=0.3), of_optimizers)
    yield Scenario("2 equal optimizers, 4 datasets, 40% lost, 30% at chance", lost, 100)
    for datasets in (3, 8):
        for widely, about in ((False, "these datasets"), (True, "datasets of this class")):
            design = Design(four, 64, datasets, dataset_effect=2.0)
            name = f"2 equal kinds, {datasets} datasets that vary by 2 points: of {about}"
            yield Scenario(name, Compared(design, of_kinds, widely), 100)

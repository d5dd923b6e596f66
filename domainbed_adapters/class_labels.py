"""Labels that are no classes: a number to be predicted is a regression."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import RequestError

FEW = 20
"""Whole numbers of which there are no more are classes, however few examples each has."""


def check_classes(where: str, labels: Sequence[str] | NDArray[np.str_]) -> None:
    """Raise RequestError if labels are numbers that something is to be estimated as.

    They are if one is not whole, or if more than half of the examples have one of their own.

    Args:
        where: Name of the dataset and the file, for the message.
        labels: (n,) as they are written.
    """
    import pandas as pd

    codes, known = pd.factorize(np.asarray(labels, object))
    try:
        numbers = [float(label) for label in known]
    except ValueError:
        return
    broken = [i for i, number in enumerate(numbers) if math.isfinite(number) and number % 1]
    if broken:
        row = int((codes == broken[0]).argmax()) + 1
        what = f"label = {known[broken[0]]} in row {row}, a number that is not whole"
    elif len(known) > max(FEW, len(codes) / 2):
        what = f"{len(known):,} different numbers as labels of {len(codes):,} examples"
    else:
        return
    raise RequestError(
        f"{where} has {what}: that is a regression, and oodbench trains classifiers. Cut the "
        "number into classes, such as above its median or not; or give classes names, such as "
        "'grade 2.5'."
    )

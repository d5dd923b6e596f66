"""Labels that are no classes: a number to be predicted is a regression."""

import math

from domainbed_adapters.tables import Column
from oodbench.errors import RequestError

FEW = 20
"""Whole numbers of which there are no more are classes, however few examples each has."""


def check_classes(where: str, labels: Column) -> None:
    """Raise RequestError if labels are numbers that something is to be estimated as.

    They are if one is not whole, or if more than half of the examples have one of their own.

    Args:
        where: Name of the dataset and the file, for the message.
        labels: Labels of n examples.
    """
    try:
        numbers = [float(name) for name in labels.names]
    except ValueError:
        return
    n, known = len(labels.codes), len(labels.names)
    broken = [i for i, number in enumerate(numbers) if math.isfinite(number) and number % 1]
    if broken:
        row = int((labels.codes == broken[0]).argmax()) + 1
        what = f"label = {labels.names[broken[0]]} in row {row}, a number that is not whole"
    elif known > max(FEW, n / 2):
        what = f"{known:,} different numbers as labels of {n:,} examples"
    else:
        return
    raise RequestError(
        f"{where} has {what}: that is a regression, and oodbench trains classifiers. Cut the "
        "number into classes, such as above its median or not; or give classes names, such as "
        "'grade 2.5'."
    )

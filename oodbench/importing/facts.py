"""What analysis needs to know of imported runs' studies, as far as it is known here."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from oodbench.errors import RequestError, check_name
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial

NUM_CLASSES = {
    "ColoredMNIST": 2,
    "RotatedMNIST": 10,
    "VLCS": 5,
    "PACS": 7,
    "OfficeHome": 65,
    "TerraIncognita": 10,
    "DomainNet": 345,
}
"""Number of classes of DomainBed's datasets."""


KINDS = {
    "shift": ("correlation", "diversity", "subpopulation"),
    "optimizer_kind": ("adaptive", "non-adaptive"),
    "chance": "a fraction",
    "num_classes": "a whole number above 1",
}
"""Facts that a user may give: what they may be."""


def check_facts(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a user says of a dataset or an optimizer, as numbers where numbers are meant.

    Raises:
        UnknownNameError: If there is no such fact, or no such value.
        RequestError: If a number is needed, and this is none.
    """
    checked: dict[str, Any] = {}
    for name, value in given.items():
        check_name("fact", name, KINDS)
        allowed = KINDS[name]
        if isinstance(allowed, tuple):
            check_name(name, value, allowed)
            checked[name] = value
            continue
        number = as_number(value)
        if name == "num_classes" and number >= 2 and number == int(number):
            checked[name] = int(number)
        elif name == "chance" and 0 <= number <= 1:
            checked[name] = number
        else:
            raise RequestError(f"{name} needs {allowed}, but got {value!r}.")
    return checked


def as_number(value: Any) -> float:
    """The value, or the number that a text says; NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def facts_of(trial: Trial, environments: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a study; what is not known is left out.

    Args:
        trial: One of its trials.
        environments: Names of the dataset's environments, if they are known.
        given: What the user says, such as ``{"shift": "diversity"}``; it goes first.
    """
    facts: dict[str, Any] = {"metric": "accuracy"}
    if environments:
        facts["environments"] = list(environments)
    if trial.dataset in NUM_CLASSES:
        classes = NUM_CLASSES[trial.dataset]
        facts |= {"num_classes": classes, "chance": 1 / classes}
    known = {spec.name: spec.kind for spec in OPTIMIZERS}
    if trial.optimizer in known:
        facts["optimizer_kind"] = known[trial.optimizer]
    facts |= given
    if "num_classes" in facts:
        facts.setdefault("chance", 1 / facts["num_classes"])
    return facts

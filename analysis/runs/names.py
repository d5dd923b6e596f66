"""The names that readers know."""

import re

from oodbench.results.targets import FEW, listed

NAMES = {
    "sgd": "SGD",
    "momentum": "Momentum",
    "nesterov": "Nesterov",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adamax": "Adamax",
    "nadam": "NAdam",
    "radam": "RAdam",
    "adafactor": "Adafactor",
    "asgd": "ASGD",
    "rprop": "Rprop",
    "muon": "Muon",
    "schedule_free_sgd": "SF-SGD",
    "schedule_free_adamw": "SF-AdamW",
    "sam": "SAM",
    "sam_adam": "SAM-Adam",
    "sasgd": "SA-SGD",
    "sasam": "SA-SAM",
    "ddp": "DDP",
    "local_sgd": "Local SGD",
    "diloco": "DiLoCo",
    "palsgd": "PALSGD",
    "erm": "ERM",
    "irm": "IRM",
    "vrex": "V-REx",
    "group_dro": "GroupDRO",
    "coral": "CORAL",
}


def pretty(name: str) -> str:
    """The name a reader knows, such as ``PALSGD(Adam) x4`` or ``Adam (fixed)``.

    Unknown names are left as they are.
    """
    if replicated := re.fullmatch(r"(\w+)\((.+)\)x(\d+)", name):
        method, optimizer, replicas = replicated.groups()
        return f"{pretty(method)}({pretty(optimizer)}) x{replicas}"
    if owned := re.fullmatch(r"(\w+)\(([\w.-]+)\)", name):
        return f"{pretty(owned[1])} ({owned[2]})"
    return NAMES.get(name, name)


def stepping(name: str) -> str:
    """The optimizer that takes the steps: of ``palsgd(adam)x4`` and of ``adam(fixed)`` adam."""
    if replicated := re.fullmatch(r"\w+\((.+)\)x\d+", name):
        return stepping(replicated[1])
    return name.partition("(")[0]


def tested_on(test_environments: str) -> str:
    """Text such as ``tested on environment 2``, or about published splits."""
    if not test_environments:
        return "tested on its published splits"
    plural = "s" if "," in test_environments else ""
    return f"tested on environment{plural} {few(test_environments)}"


def group_name(dataset: str, test_environments: str, algorithm: str) -> str:
    """The name of a group, such as ``IRM on ColoredDigits, test environment 2``."""
    if not test_environments:  # the dataset has published splits
        return f"{pretty(algorithm)} on {dataset}"
    plural = "s" if "," in test_environments else ""
    return f"{pretty(algorithm)} on {dataset}, test environment{plural} {few(test_environments)}"


def few(test_environments: str) -> str:
    """A short list: the first of many names, and how many there are."""
    each = test_environments.split(",")
    return test_environments if len(each) <= FEW else listed(map(str.strip, each))


def shift_name(shift: str) -> str:
    """The name of a shift, such as ``correlation shift``."""
    if shift == "none":
        return "no shift"
    return f"{shift} shift" if shift else "class of shift unknown"


def coverage(examples: bool, splits: int) -> str:
    """What is random in an interval, and what it cannot cover.

    Args:
        examples: Whether the test examples were resampled.
        splits: Splits of the data that were run.
    """
    known = ["the search", *(["test examples"] if examples else [])]
    missing = [] if examples else ["test examples (no predictions)"]
    if splits > 1:
        known.append(f"{splits} data splits")
    else:
        missing.append("other data splits (1 was run)")
    text = f"over {' and '.join([', '.join(known[:-1]), known[-1]] if known[1:] else known)}"
    return f"{text}, not {' nor '.join(missing)}" if missing else text

"""The names that readers know."""

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
    "erm": "ERM",
    "irm": "IRM",
    "vrex": "V-REx",
    "group_dro": "GroupDRO",
    "coral": "CORAL",
}


def pretty(name: str) -> str:
    """The name a reader knows; unknown names are left as they are."""
    return NAMES.get(name, name)


def group_name(dataset: str, test_environments: str, algorithm: str) -> str:
    """Such as ``IRM on ColoredDigits, test environment 2``."""
    if not test_environments:  # the dataset has published splits
        return f"{pretty(algorithm)} on {dataset}"
    plural = "s" if "," in test_environments else ""
    return f"{pretty(algorithm)} on {dataset}, test environment{plural} {test_environments}"

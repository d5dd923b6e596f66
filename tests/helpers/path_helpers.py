"""The small trials whose paths are recorded in these tests."""

from typing import Any

from oodbench.records import Trial

STEPS = 60
SGD = {"lr": 0.05, "weight_decay": 0.0}
CONTESTANTS = {
    "sgd": SGD,
    "momentum": {**SGD, "momentum": 0.9},
    "adam": {**SGD, "lr": 0.003, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8},
    "sam": {**SGD, "momentum": 0.9, "rho": 0.05},
}


def trial(optimizer: str = "sgd", **changes: Any) -> Trial:
    settings: dict[str, Any] = {
        "dataset": "ColoredDigits",
        "fingerprint": "x",
        "test_environments": (2,),
        "model": "mlp",
        "algorithm": "erm",
        "optimizer": optimizer,
        "hparams": CONTESTANTS[optimizer],
        "steps": STEPS,
        "batch": {"per_environment": 16},
        "evaluate_every": 10,
        "seed": 0,
        "model_options": {"width": 8},
    }
    return Trial(**(settings | changes))

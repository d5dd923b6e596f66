"""Scores of a dataset's own: what can be asked for, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench import api
from oodbench.data import DATASETS, Scores
from oodbench.errors import RequestError
from oodbench.verbs.score import predictor


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ColoredDigits", {"model": "resnet18"}), "ColoredDigits has no scores of its own"),
        (("BackgroundsChallenge", {}), "either a model or a run"),
        (("BackgroundsChallenge", {"model": "resnet18", "run": "a"}), "either a model or a run"),
        (("BackgroundsChallenge", {"run": "a"}), "A run goes with db"),
        (("BackgroundsChallenge", {"model": "mlp"}), "model mlp has no published weights"),
        (
            ("BackgroundsChallenge", {"model": "resnet18", "weights": "no_such.pth"}),
            r"Cannot read the weights no_such\.pth",
        ),
        (
            ("BackgroundsChallenge", {"model": "resnet18", "weights": __file__}),
            "is not a state dict that torch.save wrote",
        ),
    ],
)
def test_refusals(arguments: tuple[str, dict[str, str]], message: str) -> None:
    name, options = arguments
    with pytest.raises(RequestError, match=message):
        api.score(name, **options)


def test_imagenets_classes_are_taken_for_the_datasets() -> None:
    """The most likely of all 1,000 counts; where it is none of the dataset's, that is an error."""
    means = np.full(1000, -1)
    means[[3, 7]] = [0, 1]
    scores = Scores(lambda predict, size, slow: {}, lambda: means, (0.5,) * 3, (0.5,) * 3)
    spec = replace(DATASETS.get("ColoredDigits"), scores=scores)

    class Fixed(torch.nn.Module):
        def __init__(self, classes: int) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(classes))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shown = (images[:, 0, 0, 0] * 255).round().long()
            return torch.nn.functional.one_hot(shown, len(self.bias)) + self.bias

    images = np.zeros((4, 3, 1, 1), np.uint8)
    images[:, 0, 0, 0] = [3, 7, 0, 255]
    cpu = torch.device("cpu")
    assert predictor(Fixed(1000), spec, cpu)(images).tolist() == [0, 1, -1, -1]
    images[:, 0, 0, 0] = [0, 1, 1, 0]
    assert predictor(Fixed(2), spec, cpu)(images).tolist() == [0, 1, 1, 0]


def test_a_run_of_another_dataset_is_refused(tmp_path: Path) -> None:
    db = tmp_path / "d.db"
    sweep = {
        "name": "d",
        "datasets": [{"name": "RotatedDigits", "test_environments": [0]}],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": {"name": "mlp", "width": 4, "depth": 1},
        "search": {"trials": 1},
        "train": {"steps": 1, "batch": {"per_environment": 2}},
    }
    api.run_sweep(sweep, db, workers=1)
    run = api.query(db)["run"][0]
    with pytest.raises(RequestError, match="was trained on RotatedDigits, not on"):
        api.score("BackgroundsChallenge", run=run, db=db)

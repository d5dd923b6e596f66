"""What a dataset's authors report of a classifier: of a run's, or of one that others trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from oodbench.data import DATASETS, DatasetSpec, Predict, Scores
from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.results import load_run, open_database
from oodbench.training.evaluation import answer
from oodbench.training.inputs.stored import as_floats
from oodbench.training.precision import numerics
from oodbench.verbs.load_model import load_model
from oodbench.workers.place import find_device


def score(
    dataset: str,
    *,
    model: str | None = None,
    weights: str | Path | None = None,
    run: str | None = None,
    db: str | Path | None = None,
    size: int | None = None,
    slow: bool = False,
    artifacts: str | Path | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Score a classifier as the authors of a dataset do.

    Args:
        dataset: Dataset, such as ``BackgroundsChallenge``.
        model: A backbone as its ImageNet weights were published: the most likely of the 1,000
            classes is taken, and counts as the dataset's class that it belongs to; one that belongs
            to none is an error.
        weights: With ``model``: a state dict to use in place of the published one, of 1,000 classes
            or of the dataset's; with these, images are normalised by the dataset's mean and
            deviation.
        run: Instead of ``model``: a run on this dataset that kept its weights, by its id or enough
            of its beginning.
        db: With ``run``: URL or path of the database.
        size: With ``model``: height and width of the images; None: the dataset's default. A run
            gets those that it was trained on.
        slow: Also the scores that take long.
        artifacts: With ``run``: the artifacts folder.
        device: ``auto``, ``cpu``, ``cuda``, ...

    Returns:
        A row a score: ``model``, ``score``, ``value``, ``n`` (how many examples it rests on).

    Raises:
        RequestError: If the dataset has no such scores, its files or the weights are not here, or
            the model does not fit.
        UnknownNameError: If there is no such dataset or model.
        QueryError, ArtifactError: If there is no such run, or its weights were not kept.
    """
    spec, where = _with_scores(dataset), find_device(device)
    if (model is None) == (run is None):
        raise RequestError("Say what to score: either a model or a run.")
    assert spec.scores is not None
    if model is not None:
        module, name = _published(spec.scores, model, weights), str(weights or model)
        pixels = size or spec.options["size"]
    else:
        if weights is not None or size is not None or db is None:
            raise RequestError("A run goes with db, and without weights and size.")
        module, name, pixels = _of_run(spec, str(run), db, artifacts)
    with numerics(where):
        found = spec.scores.measure(predictor(module, spec, where), pixels, slow)
    return pd.DataFrame(
        [{"model": name, "score": s, "value": v, "n": n} for s, (v, n) in found.items()]
    )


def _with_scores(dataset: str) -> DatasetSpec:
    """A dataset whose authors report scores of their own."""
    spec = DATASETS.get(dataset)
    if spec.scores is None:
        having = ", ".join(known.name for known in DATASETS if known.scores is not None)
        raise RequestError(
            f"{dataset} has no scores of its own (those that have: {having or 'none'}); "
            "oodbench evaluate gives a run's accuracies."
        )
    return spec


def _published(scores: Scores, model: str, weights: str | Path | None) -> torch.nn.Module:
    """A backbone with its last layer, from images in [0, 1]."""
    spec = MODELS.get(model)
    if spec.classifier is None:
        having = ", ".join(known.name for known in MODELS if known.classifier is not None)
        raise RequestError(f"model {model} has no published weights; those that have: {having}.")
    return spec.classifier(None if weights is None else Path(weights), scores.mean, scores.std)


def _of_run(
    spec: DatasetSpec, run: str, db: str | Path, artifacts: str | Path | None
) -> tuple[torch.nn.Module, str, int]:
    """A run's whole network, its id, and the size of its images."""
    with open_database(db, read_only=True) as database:
        trial = load_run(database, run).trial
    if trial.dataset != spec.name:
        raise RequestError(f"Run {trial.id} was trained on {trial.dataset}, not on {spec.name}.")
    size = trial.dataset_options.get("size", spec.options["size"])
    return load_model(db, trial.id, artifacts=artifacts), trial.id, size


def predictor(module: torch.nn.Module, spec: DatasetSpec, device: torch.device) -> Predict:
    """The classifier that a network of the dataset's classes is, or one of ImageNet's.

    Args:
        module: Network from images in [0, 1] to logits.
        spec: The dataset; it has scores.
        device: Where to run it.
    """
    assert spec.scores is not None
    module = module.to(device)
    dtype = next(module.parameters()).dtype
    means: NDArray[np.int64] = spec.scores.of_imagenet()

    @torch.inference_mode()
    def predict(
        images: NDArray[np.uint8], counts_as: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        logits = module(as_floats(batch, dtype))
        among = None if counts_as is None else torch.from_numpy(counts_as).to(device)
        chosen: NDArray[np.int64] = answer(logits, among).cpu().numpy()
        if logits.shape[1] == len(means):
            return means[chosen]
        if logits.shape[1] == spec.num_classes:
            return chosen
        raise RequestError(
            f"The model has {logits.shape[1]} classes, but {spec.name} has "
            f"{spec.num_classes}, and ImageNet {len(means)}."
        )

    return predict

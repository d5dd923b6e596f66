"""Can a dataset answer which models generalise? Small models are trained here, and looked at."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from oodbench import analysis
from oodbench.data import DATASETS
from oodbench.errors import RequestError, writable
from oodbench.machine import one_blas_thread
from oodbench.records import OOD_TEST
from oodbench.results.predictions import Predictions
from oodbench.results.targets import listed
from oodbench.training import Tensors
from oodbench.verbs.audited_models import Audited, audited
from oodbench.verbs.shift import shift
from oodbench.workers.place import find_device
from oodbench.workers.trial_data import tensors_for

MODELS = 50
SHIFT_EXAMPLES = 2_000
"""Maximum examples of a side, to measure the shift on."""
LARGEST = 2**28
"""Numbers in the training inputs, at most, that are searched for duplicates: a gibibyte."""


def audit(
    dataset: str,
    test_environments: Sequence[int] | None = None,
    *,
    models: int = MODELS,
    model: str | None = None,
    margin: float = 0.01,
    options: Mapping[str, Any] | None = None,
    shift_trials: int = 1,
    seed: int = 0,
    data_seed: int = 0,
    device: str = "auto",
    output: str | Path | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> "tuple[analysis.Audit, ...]":
    """Train some small models on a dataset, and ask what their answers say of it.

    They are linear models and small networks; of images and texts, heads on frozen features, which
    are computed once. Hyperparameters are drawn at random from the search spaces of five
    optimizers, each draw for one model. Nothing is put into a database.

    Args:
        dataset: Name of the dataset.
        test_environments: Indices of the environments that are kept out of training, together; by
            default each environment in turn, each target, or the published splits.
        models: How many to train for each choice.
        model: Backbone whose features the heads are on, or a small network; by default
            ``efficientnet_lite0`` for images, the dataset's encoder for texts, else ``mlp``.
        margin: The difference of two accuracies that matters.
        options: Options of the dataset, in place of its defaults.
        shift_trials: Classifiers to measure the shift with (``oodbench.shift``); 0: it is not
            measured.
        seed: Seed of hyperparameters, models and bootstraps.
        data_seed: Seed of the dataset's splits.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ...
        output: A folder for ``audit.html``, ``audit.png``, ``audit.json``, and a file
            ``select-NAME.json`` for each test environment with a part that inverts the line: the
            dataset ``Selected`` has it as a target.
        on_step: Called with what was done.

    Returns:
        One for each choice of test environments, or each target.

    Raises:
        RequestError: A number is too small, the dataset or a model cannot be built, or the folder
            cannot be written.
        UnknownNameError: There is no such dataset, option or model.
    """
    if shift_trials < 0:
        raise RequestError(f"shift_trials must be at least 0, but got {shift_trials}.")
    if not 0 < margin < 1:
        raise RequestError(f"margin must be a fraction between 0 and 1, but got {margin}.")
    if output is not None:
        with writable(output):
            Path(output).mkdir(parents=True, exist_ok=True)
    given = dict(options or {})
    DATASETS.get(dataset).check_options(given)
    found = audited(
        dataset,
        given,
        test_environments,
        model=model,
        models=models,
        seed=seed,
        data_seed=data_seed,
        device=device,
        tell=on_step,
    )
    audits: list[analysis.Audit] = []
    chosen = []
    for left in found:
        data = tensors_for(left.trial, find_device(device))
        for where, predictions in _panels(left, data):
            with one_blas_thread():
                one = analysis.audit(predictions, linear=left.linear, margin=margin, seed=seed)
            one = replace(
                one,
                test_environments=_named(dataset, given, where),
                diverged=left.diverged,
                duplicates=_duplicates(data, predictions, seed),
            )
            audits.append(one)
            chosen.append(_choice(one, left, predictions))
    if shift_trials:
        how: dict[str, Any] = {"trials": shift_trials, "seed": seed, "options": given}
        how |= {"data_seed": data_seed, "device": device}
        audits = _with_shifts(audits, dataset, test_environments, on_step, **how)
    if output is not None:
        write(tuple(audits), chosen, Path(output), f"Audit of {dataset}")
    return tuple(audits)


def _panels(left: Audited, data: Tensors) -> Iterator[tuple[tuple[int, ...], Predictions]]:
    """The predictions, for each target by itself; and the test environments."""
    known = left.predictions
    if not data.targets:
        yield left.test_environments, known
        return
    names = list(DATASETS.get(known.dataset).resolved(left.trial.dataset_options).environments)
    is_ood, environment = known.examples["role"] == OOD_TEST, known.examples["environment"]
    for target in data.targets:
        kept = (~is_ood | (environment == target)).to_numpy()
        examples = known.examples[kept].reset_index(drop=True)
        index = (names.index(target),)
        predicted = known.predicted[:, kept]
        text = str(index[0])
        yield index, replace(known, examples=examples, predicted=predicted, test_environments=text)


def _named(dataset: str, options: Mapping[str, Any], where: Sequence[int]) -> str:
    """The test environments by index and name, such as ``0 (15°)``."""
    names = DATASETS.get(dataset).resolved(options).environments
    if not where:
        return ""
    return f"{','.join(map(str, where))} ({listed(names[i] for i in where)})"


def _duplicates(
    data: Tensors, predictions: Predictions, seed: int
) -> dict[str, "analysis.Duplicates"]:
    """Test examples that were trained on, in and out of distribution."""
    size = len(data.labels) * prod(data.shape)
    if size > LARGEST:
        return {}
    trained, labels = data.inputs[slice(None)].cpu().numpy(), data.labels.cpu().numpy()
    shown = set(zip(predictions.examples["environment"], predictions.examples["role"], strict=True))
    found = {}
    for name, role in (("ID", "id_test"), ("OOD", OOD_TEST)):
        splits = [
            split
            for split in data.evaluation
            if split.role == role and (split.environment, role) in shown
        ]
        if splits:
            inputs = [split.inputs[slice(None)].cpu().numpy() for split in splits]
            theirs = np.concatenate([split.labels.cpu().numpy() for split in splits])
            given = (trained, labels, np.concatenate(inputs), theirs)
            found[name] = analysis.duplicates(*given, seed=seed)
    return found


def _with_shifts(
    audits: "Sequence[analysis.Audit]",
    dataset: str,
    test_environments: Sequence[int] | None,
    tell: Callable[[str], None],
    **settings: Any,
) -> "list[analysis.Audit]":
    """The audits, with the shift of each, of examples that are read once."""
    try:
        table = shift(
            dataset, test_environments, examples=SHIFT_EXAMPLES, on_trial=tell, **settings
        )
    except RequestError as error:  # such as subpopulation shift, which is not measured
        tell(f"shift not measured: {error}")
        return list(audits)
    rows = table.drop_duplicates("test_environments").to_dict("records")
    if len(rows) == 1:  # also of several targets that were named together
        rows *= len(audits)
    return [
        replace(
            one,
            shift=str(row["shift"]),
            diversity=float(row["diversity"]),
            correlation=float(row["correlation"]),
        )
        for one, row in zip(audits, rows, strict=True)
    ]


def _choice(
    one: "analysis.Audit", left: Audited, predictions: Predictions
) -> dict[str, Any] | None:
    """What a file of the dataset ``Selected`` says; None: nothing, or everything, was chosen."""
    shown = predictions.examples["role"] == OOD_TEST
    names = list(predictions.examples["environment"][shown].unique())
    if one.selection.inverted in (0, 1) or len(names) > 1 or not names[0]:
        return None
    return {
        "dataset": left.trial.dataset,
        "options": dict(left.trial.dataset_options),
        "data_seed": left.trial.data_seed,
        "source": predictions.source,
        "environment": str(names[0]),
        "share": one.selection.inverted,
        "examples": list(one.selection.examples),
    }


def write(
    audits: "tuple[analysis.Audit, ...]",
    chosen: Sequence[Mapping[str, Any] | None],
    folder: Path,
    title: str,
) -> None:
    """Write the page, the figure, the JSON, and what was chosen.

    Raises:
        RequestError: If the folder cannot be written.
    """
    with writable(folder):
        page = analysis.audit_html(audits, title)
        (folder / "audit.html").write_text(page, encoding="utf-8", newline="\n")
        analysis.save(analysis.audit_figure(audits), folder / "audit.png")
        text = json.dumps([one.to_json() for one in audits], indent=1, allow_nan=False)
        (folder / "audit.json").write_text(f"{text}\n", encoding="utf-8", newline="\n")
        for one, content in zip(audits, chosen, strict=True):
            if content is not None:
                name = f"select-{one.test_environments.partition(' ')[0]}.json"
                (folder / name).write_text(json.dumps(content) + "\n", encoding="utf-8")

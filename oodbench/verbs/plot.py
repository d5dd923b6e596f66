"""What ``oodbench plot`` draws, and what each figure is given from the database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from oodbench import analysis
from oodbench.errors import RequestError, writable
from oodbench.results import (
    Database,
    checkpoints,
    environment_names,
    open_database,
    pairs,
    probed,
    searched_scale,
)
from oodbench.results.columns import GROUP, SCORES
from oodbench.results.sweeps.rounds import deciding
from oodbench.results.targets import by_target
from oodbench.verbs.figure_options import figure, figure_names
from oodbench.verbs.query import read_runs
from oodbench.workers.artifacts import known_predictions
from oodbench.workers.deciding import standing_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


COLUMNS = {
    "scatter": (
        *("run", "protocol", *GROUP, "model", "model_options", "algorithm_options"),
        *("dataset_options", "batch", "precision", "steps", "step", "status", "sampler", *SCORES),
        *("id", "ood", "n_id", "n_ood", "optimizer_kind", "chance", "shift"),
    )
}
"""A figure -> the columns that it reads; those without a line read all of them."""


@dataclass(frozen=True)
class Asked:
    """What a figure is asked for: its kind, which runs, at which checkpoint, with which options."""

    kind: str
    where: str | None
    sweep: str | None
    checkpoint: str
    options: Mapping[str, Any]


def _named_pairs(db: Database, asked: Asked) -> "pd.DataFrame":
    """The runs, with their test environments by index and name, for headings."""
    return analysis.name_environments(_pairs(db, asked), environment_names(db))


def _pairs(db: Database, asked: Asked) -> "pd.DataFrame":
    """The runs, by target, with another metric's scores in place of accuracies if one is asked for.

    Raises:
        UnknownNameError: If no run was scored by it.
        RequestError: If none has it both in and out of distribution, or runs are to be kept by it.
    """
    runs = (db, asked.where, asked.sweep, asked.checkpoint)
    metric = asked.options.get("metric", "accuracy")
    if metric == "accuracy":
        rule = asked.options.get("rule", "id_val")
        return by_target(read_runs(*runs, rule, COLUMNS.get(asked.kind)))
    if asked.options.get("keep", "all") != "all":
        raise RequestError(
            "keep goes by ID validation accuracy, so it does not go with a metric. Leave one out."
        )
    found = pairs(*runs, metric=metric)
    if len(found) and not (found["id"].notna() & found["ood"].notna()).any():
        raise RequestError(
            f"No run has {metric} both in and out of distribution, so there is nothing to draw. "
            "Under subpopulation shift the worst group's accuracy is the OOD accuracy: leave "
            "metric out."
        )
    return by_target(found)


def _probes(db: Database, asked: Asked) -> "pd.DataFrame":
    """What probes measured: one measurement, or all where none is named or none has that name."""
    name = asked.options.get("measurement")
    if name and name in (found := probed(db, name)):
        return found
    return probed(db)


def _standings(db: Database, asked: Asked) -> "list[analysis.Standing]":
    """How far the searches are that stop when decided."""
    return [one for each in deciding(db, asked.sweep) for one in standing_of(db, each)]


READ: dict[str, Callable[[Database, Asked], Any]] = {
    "pairs": _named_pairs,
    "predictions": lambda db, asked: known_predictions(
        db, asked.where, asked.sweep, asked.checkpoint
    ),
    "checkpoints": lambda db, asked: checkpoints(db, asked.where, asked.sweep),
    "probes": _probes,
    "standings": _standings,
    "scale": lambda db, asked: searched_scale(db, asked.options["hyperparameter"], asked.sweep),
}
"""A figure's parameter -> what it is given; those without a line keep their default."""


@overload
def plot(
    kind: str, db: str | Path, output: str | Path, where: str | None = None, **options: Any
) -> Path: ...
@overload
def plot(
    kind: str, db: str | Path, output: None = None, where: str | None = None, **options: Any
) -> "Figure": ...
def plot(
    kind: str,
    db: str | Path,
    output: str | Path | None = None,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    **options: Any,
) -> "Path | Figure":
    """Draw the runs of a database, into a file or to be shown in a notebook.

    Args:
        kind: ``scatter``, ``binned``, ``box``, ...: the name of a figure of ``analysis``, which
            says what it shows.
        db: URL or path of the database.
        output: A file ending in .png, .pdf or .svg; None: none is written.
        where: See ``query``.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored.
        options: The figure's own, such as ``keep="top"`` or ``palette="study"``.

    Returns:
        The path of the file, or the figure where there is none.

    Raises:
        UnknownNameError: If there is no such figure, palette, column, sweep or checkpoint rule.
        RequestError: If an option does not fit the figure, or the file cannot be written.
    """
    with open_database(db, read_only=True) as database:
        drawn = draw(database, kind, where, sweep=sweep, checkpoint=checkpoint, **options)
    if output is None:
        return drawn
    with writable(Path(output)):
        return analysis.save(drawn, output)


def draw(
    db: Database,
    kind: str,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    **options: Any,
) -> "Figure":
    """The figure that ``plot`` writes; see there for arguments and errors."""
    known = figure(kind).options
    for name in options:
        if name not in known:
            takers = [other for other in figure_names() if name in figure(other).options]
            raise RequestError(
                f"A plot of kind {kind!r} takes no {name}; options of its own: "
                f"{', '.join(known)}. Kinds that take {name}: {', '.join(takers) or 'none'}."
            )
    defaults = {name: option.default for name, option in known.items()}
    asked = Asked(kind, where, sweep, checkpoint, {**defaults, **options})
    data = {name: READ[name](db, asked) for name in figure(kind).data if name in READ}
    drawn: Figure = getattr(analysis, kind)(**data, **options)
    return drawn

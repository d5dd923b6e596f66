"""The kinds of figures that ``oodbench plot`` draws, and what each of them needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from oodbench.results import Database

PALETTES = ("default", "study")


@dataclass(frozen=True)
class Asked:
    """What a figure is asked for: which runs, at which checkpoint, and the kind's own options."""

    where: str | None
    sweep: str | None
    options: Mapping[str, Any]


Inputs = Callable[["Database", Asked], dict[str, Any]]
"""Keyword arguments of a figure that are read from the database, besides the runs."""


def _nothing(db: "Database", asked: Asked) -> dict[str, Any]:
    return {}


def _checkpoints(db: "Database", asked: Asked) -> dict[str, Any]:
    from oodbench.results import checkpoints

    return {"checkpoints": checkpoints(db, asked.where, asked.sweep)}


def _probes(db: "Database", asked: Asked) -> dict[str, Any]:
    from oodbench.results import probed

    return {"probes": probed(db, "path_")}


def _measured(db: "Database", asked: Asked) -> dict[str, Any]:
    from oodbench.results import probed

    name = asked.options.get("measurement", "")
    found = probed(db, name)
    return {"probes": found if name in found else probed(db)}  # all of them, to be named


def _scale(db: "Database", asked: Asked) -> dict[str, Any]:
    from oodbench.results import searched_scale

    name = asked.options.get("hyperparameter", "lr")
    return {"scale": searched_scale(db, name, asked.sweep)}


@dataclass(frozen=True)
class Kind:
    """A kind of figure: the function of ``analysis`` of the same name draws it.

    Attributes:
        about: What it shows, for a list of kinds.
        options: Keyword arguments of its own that a user may give; ``metric`` goes to no figure but
            says which scores the runs are given.
        inputs: What else it reads from the database.
        by_optimizer: Its colours are those of optimizers, of the palette.
    """

    about: str
    options: tuple[str, ...] = ()
    inputs: Inputs = _nothing
    by_optimizer: bool = True


KEEP = ("keep", "threshold", "top")
KINDS = {
    "scatter": Kind("ID against OOD accuracy, a point a run", ("metric",)),
    "returns": Kind("the return curve of each optimizer, where its verdict is found"),
    "binned": Kind("mean OOD accuracy in bins of ID accuracy", ("bins",)),
    "box": Kind("box plots of ID accuracy, OOD accuracy and their gap", (*KEEP, "metric")),
    "violin": Kind("the same as violins", (*KEEP, "metric")),
    "budget": Kind("what each number of trials buys, ID and OOD", ("rule", "unit")),
    "heatmap": Kind(
        "differences between optimizers at an equal tuning budget, by dataset",
        ("score", "baseline", "rule", "budget", "unit"),
        by_optimizer=False,
    ),
    "slices": Kind("a hyperparameter against both accuracies", ("hyperparameter",), _scale),
    "learning": Kind("both accuracies along training", ("runs",), _checkpoints),
    "paths": Kind("RSI, EB and gamma along training, once probed", ("end", "full"), _probes),
    "probed": Kind(
        "a probe's measurement, or a cost, against OOD accuracy, with rank correlations",
        ("measurement", *KEEP),
        _measured,
    ),
}
"""Kind -> what it is; a new one needs a line here, and a function in ``analysis``."""


def draw(
    db: "Database",
    kind: str,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    palette: str = "default",
    **options: Any,
) -> "Figure":
    """Draw the runs of a database.

    Args:
        db: The database.
        kind: One of ``KINDS``.
        where: A condition on the runs.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored.
        palette: One of ``PALETTES``.
        options: The kind's own.

    Raises:
        UnknownNameError: No such kind, palette, column, sweep, checkpoint rule, ...
        RequestError: An option that the kind does not take, or what the figure refuses.
    """
    from oodbench import analysis
    from oodbench.results import pairs

    if kind not in KINDS:
        raise UnknownNameError("plot", kind, KINDS)
    if palette not in PALETTES:
        raise UnknownNameError("palette", palette, PALETTES)
    for name in options:
        if name not in KINDS[kind].options:
            mine = ", ".join(KINDS[kind].options) or "none"
            takers = ", ".join(other for other in KINDS if name in KINDS[other].options) or "none"
            raise RequestError(
                f"A plot of kind {kind!r} takes no {name}; options of its own: {mine}. "
                f"Kinds that take {name}: {takers}."
            )
    figure = getattr(analysis, kind)
    inputs = KINDS[kind].inputs(db, Asked(where, sweep, options))
    if metric := options.pop("metric", None):
        runs = _scored_by(db, metric, Asked(where, sweep, options), checkpoint)
    else:
        runs = pairs(db, where, sweep, checkpoint, per_environment="rule" in options)
    if KINDS[kind].by_optimizer:
        inputs["palette"] = palette
    drawn: Figure = figure(runs, **inputs, **options)
    return drawn


def _scored_by(db: "Database", metric: str, asked: Asked, checkpoint: str) -> "pd.DataFrame":
    """The runs with another metric's scores in place of accuracies.

    Raises:
        UnknownNameError: If no run was scored by it.
        RequestError: If none has it both in and out of distribution, or runs are to be kept by it.
    """
    from oodbench.results import pairs

    if "keep" in asked.options:
        raise RequestError(
            "keep goes by ID validation accuracy, so it does not go with a metric. Leave one out."
        )
    runs = pairs(db, asked.where, asked.sweep, checkpoint, metric=metric)
    if len(runs) and not (runs["id"].notna() & runs["ood"].notna()).any():
        raise RequestError(
            f"No run has {metric} both in and out of distribution, so there is nothing to draw. "
            "Under subpopulation shift the worst group's accuracy is the OOD accuracy: leave "
            "metric out."
        )
    return runs.assign(scored_by=metric)


def plot(
    kind: str,
    db: str | Path,
    output: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    palette: str = "default",
    checkpoint: str = "last",
    **options: Any,
) -> Path:
    """Draw the runs of a database into a file.

    Args:
        kind: ``scatter``, ``binned``, ``box``, ... of ``KINDS``: each is a
            function of ``analysis``, which says what it shows.
        db: URL or path of the database.
        output: A file ending in .png, .pdf or .svg.
        where: As for ``query``.
        sweep: Only runs of this sweep.
        palette: ``default`` (colour-blind safe) or ``study`` (Naganuma et al. 2023).
        checkpoint: Which checkpoint is scored.
        options: The kind's own, such as ``keep="top"``.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: If there is no such kind, palette, column, sweep or checkpoint rule.
        RequestError: If an option does not fit the kind, or the file cannot be written.
    """
    from oodbench import analysis
    from oodbench.errors import writable
    from oodbench.results import open_database

    look: dict[str, Any] = {"checkpoint": checkpoint, "palette": palette, **options}
    with open_database(db, read_only=True) as database:
        figure = draw(database, kind, where, sweep=sweep, **look)
    with writable(Path(output)):
        return analysis.save(figure, output)

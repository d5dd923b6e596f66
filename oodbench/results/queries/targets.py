"""The targets that runs are tested on, from the facts of their studies and what was measured."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, select

from oodbench.records import OOD_TEST
from oodbench.results.columns import BY_TARGET
from oodbench.results.measurements import METRIC, curves
from oodbench.results.schema import studies, study_trials
from oodbench.results.targets import N_OOD, OOD, TARGETS, cell_of, has_mean, listed, names_of

if TYPE_CHECKING:
    import pandas as pd

SCORES, SIZES = BY_TARGET


def _studies(connection: Connection) -> dict[str, str]:
    """Study of a dataset with targets -> what ``TARGETS`` says of its runs; the oldest first."""
    columns = (studies.c.id, studies.c.test_environments, studies.c.facts)
    every = connection.execute(select(*columns).order_by(studies.c.created, studies.c.id))
    rows = [row for row in every if row.facts.get("targets")]
    if not rows:
        return {}
    from oodbench.data import named_or_all  # with NumPy, which `oodbench status` does without

    return {
        row.id: cell_of(
            named_or_all(tuple(row.facts["targets"]), tuple(row.test_environments)),
            row.test_environments,
            row.facts["environments"],
            bool(row.facts.get("mean_of_targets")),
        )
        for row in rows
    }


def _tested(connection: Connection) -> dict[str, str]:
    """Run -> what ``TARGETS`` says of it."""
    texts, link = _studies(connection), study_trials.c
    links = select(link.run_id, link.study_id).where(link.study_id.in_(texts))
    return {row.run_id: texts[row.study_id] for row in connection.execute(links)} if texts else {}


def have_targets(connection: Connection) -> bool:
    """Whether any study is tested on targets."""
    return bool(_studies(connection))


def targets_of_studies(connection: Connection) -> dict[str, str]:
    """Study -> the targets that it is tested on, for a reader."""
    return {study: listed(names_of(text)) for study, text in _studies(connection).items()}


def target_columns(
    connection: Connection, columns: Mapping[str, ColumnElement[Any]]
) -> dict[str, ColumnElement[Any]]:
    """``ood[NAME]`` and ``n_ood[NAME]`` for conditions, made of the columns of ``v_pairs``."""
    found = {}
    texts = set(_studies(connection).values()) if SCORES in columns else ()
    for name in {name for text in texts for name in names_of(text)}:
        found[OOD.format(name)] = columns[SCORES][name].as_float()
        found[N_OOD.format(name)] = columns[SIZES][name].as_integer()
    return found


def with_targets(connection: Connection, frame: "pd.DataFrame") -> "pd.DataFrame":
    """A table of runs with a column for each score of a target, and ``TARGETS``, if any has one.

    Args:
        frame: Frame with the column ``run`` and, if ``have_targets``, those of ``SCORES`` and
            ``SIZES``, which it loses.
    """
    rest = frame.drop(columns=[SCORES, SIZES], errors="ignore")
    tested = _tested(connection)
    if rest["run"].isin(tested).any():
        rest = rest.assign(**{TARGETS: rest["run"].map(tested)})
        for of, column, kind in ((OOD, SCORES, "float64"), (N_OOD, SIZES, "Int64")):
            values = [found or {} for found in frame[column]]
            rest = _with_columns(rest, of, values, kind)
    return _without_other_means(rest)


def of_checkpoints(
    connection: Connection, frame: "pd.DataFrame", chosen: Select[Any]
) -> "pd.DataFrame":
    """A table of checkpoints with the same columns of targets, and without means of none meant.

    Args:
        frame: ``run``, ``step`` and the means of roles.
        chosen: A select of the runs' ids.
    """
    tested = _tested(connection)
    if not frame["run"].isin(tested).any():
        return frame
    link, point = study_trials.c, curves.c
    mine = select(link.run_id).where(link.study_id.in_(_studies(connection)))
    measured = select(point.run_id, point.step, point.environment, point.value, point.n).where(
        point.role == OOD_TEST,
        point.metric == METRIC,
        point.run_id.in_(chosen),
        point.run_id.in_(mine),
    )
    at: dict[tuple[str, int], tuple[dict[str, Any], dict[str, Any]]] = {}
    for run, step, environment, value, n in connection.execute(measured):
        values, sizes = at.setdefault((run, step), ({}, {}))
        values[environment], sizes[environment] = value, n or None
    frame = frame.assign(**{TARGETS: frame["run"].map(tested)})
    found = [at.get(key, ({}, {})) for key in zip(frame["run"], frame["step"], strict=True)]
    frame = _with_columns(frame, OOD, [values for values, _ in found], "float64")
    frame = _with_columns(frame, N_OOD, [sizes for _, sizes in found], "Int64")
    return _without_other_means(frame)


def _without_other_means(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table without the mean over targets of which none is meant."""
    if TARGETS not in frame.columns:
        return frame
    meant = frame[TARGETS].map(has_mean, na_action="ignore").fillna(True).astype(bool)
    means = frame.columns.intersection(["ood", "n_ood", OOD_TEST, f"n_{OOD_TEST}"])
    return frame.assign(**{column: frame[column].where(meant) for column in means})


def _with_columns(
    frame: "pd.DataFrame", of: str, values: list[dict[str, Any]], kind: str
) -> "pd.DataFrame":
    """A column for each target that any of the frame's runs is tested on."""
    import pandas as pd

    texts = frame[TARGETS].dropna().unique()
    names = dict.fromkeys(name for text in texts for name in names_of(text))
    columns = {
        of.format(name): pd.Series([found.get(name) for found in values], frame.index, dtype=kind)
        for name in names
    }
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)

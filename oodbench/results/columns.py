"""The columns of the views: one table, which queries, exports, analysis and documents read.

A new number measured of a run is a line in ``MEASURED``; what measures it puts it into the run's
provenance. No migration is needed, unless what a column of an older oodbench says changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, cast, func, type_coerce

from oodbench.results.expressions import (
    compact,
    environments_text,
    number,
    of_joined_study,
    option,
    whole,
)
from oodbench.results.schema import runs, studies, study_trials

Kind = Literal["text", "whole", "count", "number", "json"]
"""A ``count`` is a whole number that may be missing; ``whole`` never is."""

GROUP = ("dataset", "test_environments", "algorithm", "optimizer")
"""What one study is about; selection picks one run of each."""

SCORES = {
    "id_val": "Accuracy on validation examples of the training environments, a fraction, mean over "
    "environments.",
    "id_test": "On test examples of the training environments.",
    "ood_val": "On validation environments apart from training and test.",
    "ood_test": "On test examples of the test environments.",
    "oracle_val": "On validation examples of the test environments: for the rule oracle alone.",
}
"""Roles that are scored -> what their accuracy means; ``n_<role>`` counts the examples."""


BY_TARGET = ("ood_by_target", "n_ood_by_target")
"""Columns that are JSON objects: target -> accuracy, or number of examples."""


@dataclass(frozen=True)
class Column:
    """A column of a view.

    Attributes:
        name: Name of the column.
        kind: What its values are.
        sql: Its value in SQL, of a row of ``runs`` and its first study.
        meaning: What exports say of it; empty: they do not have it.
    """

    name: str
    kind: Kind
    sql: ColumnElement[Any]
    meaning: str = ""


def named(columns: Iterable[Column], *kinds: Kind) -> list[str]:
    """The names of the columns of these kinds; of all without any."""
    return [column.name for column in columns if not kinds or column.kind in kinds]


_row, _facts = runs.c, studies.c.facts

RUN = (
    Column(
        "run",
        "text",
        _row.id,
        "Id of the run: a hash of all that decides it; of an imported run, of what is known.",
    ),
    Column("position", "whole", _row.position),
    Column(
        "config_id",
        "text",
        _row.config_id,
        "Id without the seed: shared by repeats of one configuration.",
    ),
    Column(
        "protocol",
        "text",
        _row.protocol,
        "Version of what a trial means; runs of different protocols are not comparable. "
        "imported:SOURCE for runs trained elsewhere.",
    ),
    Column("dataset", "text", _row.dataset, "Name of the dataset."),
    Column(
        "test_environments",
        "text",
        environments_text(_row.test_environments),
        "Indices of the environments kept out of training.",
    ),
    Column("algorithm", "text", _row.algorithm, "Training objective."),
    Column("optimizer", "text", _row.optimizer, "Optimizer."),
    Column("model", "text", _row.model, "Backbone."),
    Column("seed", "whole", _row.seed, "Of initialisation and batch order; -1: not known."),
    Column("data_seed", "whole", _row.data_seed, "Of splits, label noise and colours."),
    Column(
        "steps",
        "whole",
        _row.steps,
        "Optimizer steps asked for; missing where not known (0 in SQL).",
    ),
    Column(
        "batch",
        "text",
        compact(cast(type_coerce(_row.batch, Text), Text)),
        "Batch composition as JSON.",
    ),
    Column(
        "model_options",
        "text",
        option("model_options"),
        "Options that differ from the defaults, as JSON.",
    ),
    Column(
        "algorithm_options",
        "text",
        option("algorithm_options"),
        "Its options that differ, as JSON.",
    ),
    Column(
        "dataset_options", "text", option("dataset_options"), "Its options that differ, as JSON."
    ),
    Column(
        "precision",
        "text",
        _row.precision,
        "The arithmetic: float32, float64, tf32 (float32, but a GPU rounds what it multiplies), "
        "or bf16 (the forward pass in bfloat16, all else in float32).",
    ),
    Column(
        "status",
        "text",
        _row.state,
        "completed, diverged (a loss or parameter became non-finite), failed, waiting or running. "
        "Only completed runs have scores.",
    ),
    Column("reason", "text", _row.reason, "Why it diverged or failed."),
    Column(
        "sampler",
        "text",
        of_joined_study(study_trials.c.sampler),
        "Who drew it: random, qmc, grid, tpe, gp; confirm: repeats a winner; unknown.",
    ),
)
"""What a run is, and what became of it."""

MEASURED = (
    Column(
        "seconds",
        "number",
        number("seconds"),
        "The run's share of the time that its stack trained.",
    ),
    Column(
        "gradient_evaluations",
        "count",
        whole("gradient_evaluations"),
        "Gradients of a batch that it took; those of all its replicas.",
    ),
    Column(
        "samples",
        "count",
        func.coalesce(
            whole("parallel", "samples"),
            whole("gradient_evaluations") * whole("examples_per_step"),
        ),
        "Examples behind these gradients, repeats counted.",
    ),
    Column(
        "all_reduces",
        "count",
        whole("parallel", "all_reduces"),
        "Vectors that its replicas averaged while training; empty: it has none.",
    ),
    Column(
        "communicated_bytes",
        "count",
        whole("parallel", "bytes"),
        "In these vectors: what each replica handed in.",
    ),
    Column(
        "compute_seconds",
        "number",
        number("parallel", "compute_seconds"),
        "Seconds of a replica in its own steps, on average; empty: none, or simulated replicas.",
    ),
    Column(
        "communication_seconds",
        "number",
        number("parallel", "communication_seconds"),
        "Seconds in averaging, once all replicas were there.",
    ),
    Column(
        "waiting_seconds",
        "number",
        number("parallel", "waiting_seconds"),
        "Seconds in waiting for the slowest replica before that.",
    ),
)
"""Numbers measured of a run, in its provenance; null where they were not."""

RECORD = (
    Column("attempt", "whole", _row.attempt),
    Column("started", "number", _row.started),
    Column("finished", "number", _row.finished),
    Column("hparams", "json", _row.hparams),
    Column("summary", "json", _row.summary),
    Column("facts", "json", _facts),
)
"""The rest of the run's row, and all facts, for ``v_runs``."""


def scored(checkpoint: str = "last") -> tuple[Column, ...]:
    """The scores of a run at ``checkpoint``, a key of its summary; null if it is not completed."""

    def at(name: str) -> Any:
        return runs.c.summary[(checkpoint, name)]

    def or_val(of: dict[str, Any]) -> Any:
        return func.coalesce(of["id_test"], of["id_val"])

    score = {role: at(role).as_float() for role in SCORES}
    n = {role: at(f"n_{role}").as_integer() for role in SCORES}
    return (
        Column("step", "count", at("step").as_integer(), "Optimizer steps at that checkpoint."),
        *(Column(role, "number", score[role], meaning) for role, meaning in SCORES.items()),
        *(Column(f"n_{role}", "count", n[role], f"Examples behind {role}.") for role in SCORES),
        Column(
            "id",
            "number",
            or_val(score),
            "ID accuracy: id_test, or id_val where the dataset has no ID test examples.",
        ),
        Column(
            "ood",
            "number",
            score["ood_test"],
            "OOD accuracy: ood_test. Missing where a run is tested on several targets, each with "
            "its own ood[NAME].",
        ),
        Column("n_id", "count", or_val(n), "Examples behind id; missing: not known."),
        Column("n_ood", "count", n["ood_test"], "Examples behind ood."),
        *(
            Column(name, "json", at(key))
            for name, key in zip(BY_TARGET, ("targets", "n_targets"), strict=True)
        ),
    )


FACTS = (
    Column(
        "optimizer_kind", "text", _facts["optimizer_kind"].as_string(), "adaptive or non-adaptive."
    ),
    Column("chance", "number", _facts["chance"].as_float(), "Accuracy of guessing."),
    Column(
        "shift",
        "text",
        _facts["shift"].as_string(),
        "Class of shift: correlation, diversity, subpopulation; none: neither of the first two was "
        "measured; empty: not known.",
    ),
    Column("num_classes", "count", _facts["num_classes"].as_integer(), "Size of the label set."),
    Column("metric", "text", _facts["metric"].as_string(), "Official metric of the dataset."),
)
"""Facts of the run's first study."""


def columns_of_runs() -> tuple[Column, ...]:
    """The columns of ``v_runs``, in order."""
    return (*RUN, *MEASURED, *RECORD)


def columns_of_pairs(checkpoint: str = "last") -> tuple[Column, ...]:
    """The columns of ``v_pairs`` and ``v_best``, in order, with the scores at ``checkpoint``."""
    return (*RUN, *MEASURED, *scored(checkpoint), *FACTS, Column("hparams", "json", _row.hparams))

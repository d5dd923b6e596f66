"""Published tables of many models on many test sets: timm's and open_clip's, as they are.

Any of the test sets may be the one in distribution, and any others those out of distribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError, check_name
from oodbench.importing.benchmarks import ACCURACY, OPEN_CLIP, TIMM, Benchmark
from oodbench.importing.csv_table import TableRuns, runs_of
from oodbench.importing.facts import check_facts
from oodbench.importing.mapping import HPARAMS, Fields
from oodbench.importing.sheet import Sheet, read_sheet
from oodbench.results import UNKNOWN, Imported, ImportedRuns, add_imported, open_database

BEFORE = "results-"
"""How timm's files begin that have accuracies; the test set's name follows."""

NAMES = (("name", "pretrained"), ("model", "version"))
"""Columns of open_clip's tables that name a model, and the weights that it has."""

SIZES = {"params (M)": "params_m", "FLOPs (B)": "flops_b"}
"""Columns of open_clip's tables that are no scores, and what they are called here."""

SETTINGS = ("img_size", "crop_pct", "interpolation")


@dataclass(frozen=True)
class Scored:
    """The accuracies of a model, as texts.

    Attributes:
        model: Name of the model.
        hparams: What else is known of it.
        scores: Test set -> its accuracy there.
    """

    model: str
    hparams: Mapping[str, str]
    scores: dict[str, str]


@dataclass(frozen=True)
class Published:
    """What was read of a source.

    Attributes:
        source: ``timm`` or ``open_clip``.
        place: Name of the file or folder.
        models: The models in it.
        known: Test set -> what is known of it.
        in_percent: Whether its scores are.
    """

    source: str
    place: str
    models: Sequence[Scored]
    known: Mapping[str, Benchmark]
    in_percent: bool


def import_timm(
    folder: str | Path,
    db: str | Path,
    id_set: str,
    ood_sets: Sequence[str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> ImportedRuns:
    """Put timm's tables of results into a database; twice adds nothing.

    They are the files ``results-TESTSET.csv`` in the folder ``results`` of
    huggingface/pytorch-image-models, in percent (top 1). Models are the same in two files if name
    and image size are.

    Args:
        folder: That has them.
        db: URL or path of the database; created if missing.
        id_set: The test set in distribution, such as ``imagenet``.
        ood_sets: Those out of distribution, such as ``["imagenet-a", "sketch"]``. Each makes a
            dataset ``ID -> OOD`` with a run for each model.
        constants: Facts of the datasets, such as ``{"shift": "diversity"}``.
        name: Name of the sweep in the database; ``timm`` by default.

    Raises:
        RequestError: If there are no such files, one is no such table, or no model is in both.
        UnknownNameError: If there is no such test set or fact.
        DatabaseError: If the database cannot be used.
    """
    root = Path(folder)
    files = {path.stem.removeprefix(BEFORE): path for path in sorted(root.glob(f"{BEFORE}*.csv"))}
    if not files:
        raise RequestError(
            f"{root} has no {BEFORE}*.csv. Name the folder results of "
            "huggingface/pytorch-image-models."
        )
    for one in (id_set, *ood_sets):
        check_name("test set", one, files)
    models: dict[tuple[str, str], Scored] = {}
    for one in dict.fromkeys((id_set, *ood_sets)):
        for row in _rows(read_sheet(files[one]), ("model", "img_size", "top1")):
            mine = {key: row.get(key, "") for key in SETTINGS}
            mine["pretrained"] = row["model"].partition(".")[2]
            mine["params_m"] = row.get("param_count", "").replace(",", "")
            scored = Scored(row["model"], mine, {})
            key = row["model"], row["img_size"]
            models.setdefault(key, scored).scores.setdefault(one, row["top1"])
    found = Published("timm", root.resolve().name, [*models.values()], TIMM, in_percent=True)
    return _import(found, id_set, ood_sets, constants or {}, db, name or "timm")


def import_open_clip(
    file: str | Path,
    db: str | Path,
    id_set: str,
    ood_sets: Sequence[str],
    constants: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> ImportedRuns:
    """Put one of open_clip's tables of results into a database; twice adds nothing.

    They are the files ``docs/openclip_*results.csv`` of mlfoundations/open_clip: a row a model, a
    column a test set, in fractions. Not all of their scores are accuracies; the ``notes`` of what
    is returned name those that are not.

    Args:
        file: The table.
        db: URL or path of the database; created if missing.
        id_set: The column in distribution, such as ``ImageNet 1k``.
        ood_sets: Those out of distribution, such as ``["ImageNet v2", "ObjectNet"]``. Each makes a
            dataset ``ID -> OOD`` with a run for each model.
        constants: Facts of the datasets, such as ``{"shift": "diversity"}``.
        name: Name of the sweep in the database; the file's by default.

    Raises:
        RequestError: If the file is no such table, or no model has both scores.
        UnknownNameError: If there is no such column or fact.
        DatabaseError: If the database cannot be used.
    """
    sheet = read_sheet(file)
    named = next((pair for pair in NAMES if set(pair) <= set(sheet.columns)), None)
    if named is None:
        raise RequestError(
            f"{sheet.name} has no columns {' or '.join(map(' and '.join, NAMES))}, so it is none "
            "of open_clip's tables. Use oodbench import csv."
        )
    tests = [name for name in sheet.columns if name not in (*named, *SIZES)]
    for one in (id_set, *ood_sets):
        check_name("test set", one, tests)
    models = []
    for row in _rows(sheet, named):
        sizes = {ours: row[theirs] for theirs, ours in SIZES.items() if theirs in row}
        scores = {one: row[one] for one in (id_set, *ood_sets)}
        models.append(Scored(row[named[0]], {"pretrained": row[named[1]], **sizes}, scores))
    found = Published("open_clip", sheet.name, models, OPEN_CLIP, in_percent=False)
    return _import(found, id_set, ood_sets, constants or {}, db, name or Path(file).stem)


def _rows(sheet: Sheet, needed: Sequence[str]) -> list[dict[str, str]]:
    """Column -> cell of each row, of a table that has the columns that are needed."""
    for column in needed:
        check_name(f"column of {sheet.name}", column, sheet.columns)
    return [dict(zip(sheet.columns, cells, strict=True)) for cells in sheet.rows.values()]


def _import(
    found: Published,
    id_set: str,
    ood_sets: Sequence[str],
    constants: Mapping[str, Any],
    db: str | Path,
    sweep: str,
) -> ImportedRuns:
    given = check_facts(constants)
    parts = [_pair(found, id_set, ood_set, given) for ood_set in dict.fromkeys(ood_sets)]
    notes = []
    for one in dict.fromkeys((id_set, *ood_sets)):
        metric = found.known[one].metric if one in found.known else "not known here"
        if metric != ACCURACY:
            notes.append(f"the scores on {one} are taken for accuracies, but are {metric}.")
    imported = Imported(
        found.source,
        sweep,
        {"file": found.place},
        [record for part in parts for record in part.records],
        {group: facts for part in parts for group, facts in part.facts.items()},
        skipped=tuple(line for part in parts for line in part.skipped),
        notes=tuple(notes),
    )
    with open_database(db, create=True) as database:
        return add_imported(database, imported)


def _pair(found: Published, id_set: str, ood_set: str, given: Mapping[str, Any]) -> TableRuns:
    """A run for each model that has both scores."""
    here, there = (found.known.get(one, Benchmark()) for one in (id_set, ood_set))
    chosen = "id_val" if here.chosen_by else "id"
    both = [one for one in found.models if {id_set, ood_set} <= set(one.scores)]
    names = list(dict.fromkeys(key for one in both for key in one.hparams))
    rows = {
        line: (
            one.model,
            one.scores[id_set],
            one.scores[ood_set],
            *(one.hparams.get(key, "") for key in names),
        )
        for line, one in enumerate(both, start=1)
    }
    fields = ("model", chosen, "ood", *(HPARAMS + key for key in names))
    same = {"dataset": f"{id_set} -> {ood_set}"}
    for field, of in ((f"n_{chosen}", here), ("n_ood", there)):
        if of.metric == ACCURACY and of.n:  # other scores have no interval of a share
            same[field] = str(of.n)
    facts = {"num_classes": there.num_classes} if there.num_classes else {}
    places = {field: at for at, field in enumerate(fields)}
    runs = runs_of(
        found.source,
        Sheet(f"{found.place}, {same['dataset']}", fields, rows, ()),
        Fields(places, same, {**facts, **given}, UNKNOWN),
        (chosen, "ood") if found.in_percent else (),
    )
    alone = len(found.models) - len(both)
    if not alone:
        return runs
    line = f"{alone:,} models that have a score on one of {id_set} and {ood_set} alone."
    return replace(runs, skipped=(*runs.skipped, line))

"""The mapping from columns and constants to the fields of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oodbench.errors import RequestError, UnknownNameError, check_name
from oodbench.importing.facts import KINDS as FACTS
from oodbench.importing.facts import check_facts
from oodbench.importing.sheet import Sheet
from oodbench.results import UNKNOWN

SCORES = {
    "id": "id_test",
    "id_val": "id_val",
    "ood": "ood_test",
    "ood_val": "ood_val",
    "oracle_val": "oracle_val",
}
"""Field -> the role of that accuracy."""

FIELDS = (
    *("dataset", "algorithm", "optimizer", "model", "test_environments"),
    *SCORES,
    *(f"n_{score}" for score in SCORES),
    *("seed", "data_seed", "steps", "loss", "status", "reason", "name"),
)
"""What a column or a constant may say; ``hparams.NAME`` besides, and ``hparams`` of a column whose
cells hold objects. ``n_*``: how many examples."""

SAMPLERS = ("random", "qmc", "grid", "tpe", "gp", UNKNOWN)
HPARAMS = "hparams."
ALL_HPARAMS = "hparams"


@dataclass(frozen=True)
class Fields:
    """Where each field comes from.

    Attributes:
        places: Field -> index of its column.
        constants: Field -> what it is for every row.
        facts: See ``oodbench.importing.facts``.
        sampler: Who drew the models.
    """

    places: Mapping[str, int]
    constants: Mapping[str, str]
    facts: Mapping[str, Any]
    sampler: str

    def of(self, cells: Sequence[str]) -> dict[str, str]:
        """What one row says; what is empty is left out."""
        found = {field: cells[place] for field, place in self.places.items()}
        return {k: v for k, v in {**self.constants, **found}.items() if v}


def fields_of(sheet: Sheet, columns: Mapping[str, str], constants: Mapping[str, Any]) -> Fields:
    """Check a mapping against a table.

    Args:
        sheet: The table.
        columns: Field -> name of its column.
        constants: Field, fact or ``sampler`` -> its value.

    Raises:
        UnknownNameError: If there is no such field, column or value.
        RequestError: If a field that is needed is not given, or one is given twice.
    """
    facts = check_facts({k: v for k, v in constants.items() if k in FACTS})
    sampler = str(constants.get("sampler", UNKNOWN))
    check_name("sampler", sampler, SAMPLERS)
    same = {k: str(v) for k, v in constants.items() if k not in FACTS and k != "sampler"}
    for field in same:
        _check_field(field, (*FIELDS, *FACTS, "sampler"))
    for field, column in columns.items():
        _check_field(field, (*FIELDS, ALL_HPARAMS))
        if field in same:
            raise RequestError(f"{field} is given twice: a column {column!r} and {same[field]!r}.")
        if column not in sheet.columns:
            raise UnknownNameError("column", column, sheet.columns, where=sheet.name)
        if sheet.columns.count(column) > 1:
            raise RequestError(f"{sheet.name} has several columns {column!r}. Rename one.")
    given = {*columns, *same}
    needed = (("dataset",), ("id", "id_val"), ("ood",))
    missing = [" or ".join(names) for names in needed if not given & set(names)]
    if missing:
        raise RequestError(
            f"{sheet.name}: no column or value gives a model's {', '.join(missing)}. Add "
            f"--map FIELD=COLUMN or --set FIELD=VALUE. Its columns: {', '.join(sheet.columns)}."
        )
    return Fields(_places(sheet, columns), same, facts, sampler)


def _places(sheet: Sheet, columns: Mapping[str, str]) -> dict[str, int]:
    """Field -> index of its column; of hyperparameters whose cells hold objects, one for each key.

    Raises:
        RequestError: If a column is to be all hyperparameters and its cells hold no objects.
    """
    places: dict[str, int] = {}
    for field, column in columns.items():
        keys = sheet.objects.get(column, {})
        if field == ALL_HPARAMS or field.startswith(HPARAMS):
            places |= {f"{field}.{key}": at for key, at in keys.items()}
        if field != ALL_HPARAMS:
            places[field] = sheet.columns.index(column)
        elif not keys:
            raise RequestError(
                f"{sheet.name}: no cell of the column {column!r} holds an object such as "
                '{"lr": 0.1}. Name each hyperparameter: --map hparams.lr=COLUMN.'
            )
    return places


def _check_field(field: str, known: Sequence[str]) -> None:
    if field not in known and not (field.startswith(HPARAMS) and field != HPARAMS):
        raise UnknownNameError("field", field, [*known, f"{HPARAMS}NAME"])

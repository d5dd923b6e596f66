"""Conditions: what they mean, compared with pandas; and what is refused, with the part shown."""

import pandas as pd
import pytest
from results_helpers import make_record, make_study, make_trial
from sqlalchemy.dialects import postgresql, sqlite

from oodbench.errors import QueryError, UnknownNameError
from oodbench.results import Database, add_sweep, claim, compile_where, pairs, store_runs
from oodbench.results.views import select_pairs

HPARAMS = {"lr", "momentum", "nesterov", "schedule", "steps"}


@pytest.fixture(scope="module")
def filled(shared_db: Database) -> Database:
    """Twelve completed runs: every value present, except that half have no momentum."""
    trials = []
    for i in range(12):
        hparams = {
            "lr": 10.0 ** (i % 4 - 4),
            "nesterov": i % 3 == 0,
            "schedule": ("cosine", "none", "it's")[i % 3],
            "steps": i,
            **({"momentum": 0.5 + 0.01 * i} if i % 2 else {}),
        }
        optimizer = ("adam", "sgd")[i % 2]
        trials.append(make_trial(i, optimizer=optimizer, hparams=hparams, steps=100 + i))
    add_sweep(shared_db, "sweep", {}, [make_study(trials)])
    while claims := claim(shared_db, "worker", size=12, lease=60):
        for item in claims:
            point = (item.trial.steps, "e", "id_val", item.trial.seed / 12, 10)
            store_runs(shared_db, [(item, make_record(item.trial, point))])
    return shared_db


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ('optimizer = "adam"', "optimizer == 'adam'"),
        ("optimizer='adam' and lr<1e-3", "optimizer == 'adam' and lr < 1e-3"),
        ("optimizer == 'adam' AND lr <= 0.001 OR seed = 3", None),
        ("NOT (optimizer = 'adam' or lr > 0.01)", "not (optimizer == 'adam' or lr > 0.01)"),
        ("0.25 <= id_val < 0.75", "0.25 <= id_val and id_val < 0.75"),
        ("1e-4 < lr != 0.01", "lr > 1e-4 and lr != 0.01"),
        ("lr > -1", "lr > -1"),
        ("id_val >= +0.5", "id_val >= 0.5"),
        ("schedule in ('cosine', \"it's\")", "schedule in ['cosine', \"it's\"]"),
        ("momentum in (1, 0.51, 0.57)", "momentum in [1, 0.51, 0.57]"),
        ("seed in (3, 5000000000)", "seed == 3"),
        ("seed > 4.5 and seed < 5000000000", "seed > 4.5"),
        ("seed < 1e300 and lr < 1", "lr < 1"),
        (f"seed < {10**40}", "seed < 100"),
        ("seed not in [1, 2, 3]", "seed not in [1, 2, 3]"),
        ("lr in [0.1, 0.01] and seed != 3", "lr in [0.1, 0.01] and seed != 3"),
        ("nesterov", "nesterov"),
        ("not nesterov", "not nesterov"),
        ("nesterov = true and lr < 1", "nesterov and lr < 1"),
        ("nesterov != True", "not nesterov"),
        ("nesterov is false", "not nesterov"),
        ("momentum is null", "momentum.isna()"),
        ("momentum IS NOT NULL", "momentum.notna()"),
        ("momentum = None and seed < 5", "momentum.isna() and seed < 5"),
        ("ood is null", "ood.isna()"),
        ("test_environments = '2'", "test_environments == '2'"),
        ("steps > 105", "steps > 105"),
        ("hparams.steps > 5 and hparams.lr < 1", "hparam_steps > 5 and lr < 1"),
        ("lr < id_val", "lr < id_val"),
        ("lr < hparams.steps", "lr < hparam_steps"),
        ("shift = 'correlation' and chance < 0.2", "chance < 0.2"),
        ("momentum > 0.52", "momentum > 0.52"),
        ("schedule > 'd'", "schedule > 'd'"),
        ("schedule > 'Z'", "schedule > 'Z'"),
    ],
)
def test_conditions_mean_what_pandas_means(filled: Database, text: str, python: str | None) -> None:
    python = python or "optimizer == 'adam' and lr <= 0.001 or seed == 3"
    everything = pairs(filled)
    expected = everything.query(python, engine="python")
    assert 0 < len(expected) < 12 or text.startswith(
        ("lr > -1", "ood", "test_", "shift", "seed <", "schedule > 'Z'")
    )
    pd.testing.assert_series_equal(
        pairs(filled, where=text)["run"], expected["run"].reset_index(drop=True)
    )


def test_a_missing_value_satisfies_no_comparison(filled: Database) -> None:
    for text in ("momentum < 2", "momentum != 7", "not momentum > 2", "momentum in (7, 0.51)"):
        assert set(pairs(filled, where=text)["optimizer"]) == {"sgd"}


def test_a_value_of_another_kind_satisfies_no_comparison(filled: Database) -> None:
    for text in ("schedule > 3", "lr = 'cosine'", "lr = true", "nesterov = 1", "lr"):
        assert pairs(filled, where=text).empty


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "cannot be read"),
        (" and ".join(f"lr < {n}" for n in range(1500)), "too long: comparisons 1,500 "),
        ("lr" + " < lr" * 1500, "too long: comparisons 1,500 "),
        (f"lr in ({', '.join(map(str, range(40_000)))})", "values 40,000 "),
        ("not " * 1500 + "lr < 1", "levels 1,503 "),
        ("lr <", "cannot be read"),
        ("lr < 1; drop table runs", "cannot be read"),
        ("(lr < 1", "cannot be read"),
        ("lr < 1) or (1 = 1", "cannot be read"),
        ("lr < 1\nor seed = 2", "cannot be read"),
        ("x := 3", "cannot be read"),
        ("abs(lr) < 1", r"`abs\(lr\)` cannot be used"),
        ("__import__('os').system('true')", "is not a condition"),
        ("optimizer.name = 'x'", "`optimizer.name` cannot be used"),
        ("optimizer[0] = 'a'", r"`optimizer\[0\]` cannot be used"),
        ("lr * 2 < 1", r"`lr \* 2` cannot be used"),
        ("lr < 1j", "`1j` cannot be used"),
        ("lr < (1 if seed else 2)", "cannot be used"),
        ("optimizer", "`optimizer` is not a condition"),
        ("true", "`True` is not a condition"),
        ("lr < 1 and 3", "`3` is not a condition"),
        ("1 < 2", "compares two constants"),
        ("optimizer < 3", "compares a text with a number"),
        ("test_environments = 2", 'Write "2" for a text'),
        ("id_val = 'x'", "compares a number with a text"),
        ("lr < null", "orders null"),
        ("nesterov < true", "orders true and false"),
        ("seed is 3", "`is` goes with null"),
        ("optimizer in 'adam'", "needs a list"),
        ("optimizer in ()", "needs a list"),
        ("lr in (1, 'a')", "mixes kinds"),
        ("lr in (1, null)", "mixes kinds"),
        ("lr in (seed, 1)", "plain values"),
        ("3 in (1, 2)", "a name before the list"),
        ("seed in ('a', 'b')", "compares a number with a text"),
        ("-optimizer = 3", "cannot be used"),
        (f"seed < {10**400}", "is too large"),
    ],
)
def test_anything_else_is_refused_with_the_part_that_offends(text: str, shown: str) -> None:
    columns = dict(select_pairs().subquery().c.items())
    with pytest.raises(QueryError, match=shown):
        compile_where(text, columns, lambda: HPARAMS)


def test_unknown_names_come_with_near_ones() -> None:
    columns = dict(select_pairs().subquery().c.items())
    with pytest.raises(UnknownNameError, match=r"'optimiser'. Did you mean 'optimizer'"):
        compile_where("optimiser = 'adam'", columns, lambda: HPARAMS)
    with pytest.raises(UnknownNameError, match=r"'momentun'. Did you mean 'momentum'"):
        compile_where("hparams.momentun = 0.9", columns, lambda: HPARAMS)
    with pytest.raises(UnknownNameError, match="unknown column 'hparams'"):
        compile_where("hparams = 0.9", columns, lambda: HPARAMS)


def test_hyperparameters_on_postgresql_are_typed() -> None:
    columns = dict(select_pairs().subquery().c.items())
    condition = compile_where("lr < 1e-3 and schedule = 'x' and nesterov", columns, lambda: HPARAMS)
    compiled = str(condition.compile(dialect=postgresql.dialect()))
    for part in ("json_typeof(", "AS FLOAT)", "AS VARCHAR)", "AS BOOLEAN)"):
        assert part in compiled
    assert "json_type(" not in compiled


def test_texts_are_ordered_alike_whatever_the_locale_of_postgresql() -> None:
    columns = dict(select_pairs().subquery().c.items())
    condition = compile_where("schedule > 'd' and optimizer < 'e'", columns, lambda: HPARAMS)
    compiled = str(condition.compile(dialect=postgresql.dialect()))
    assert compiled.count('COLLATE "C"') == 4
    assert "COLLATE" not in str(condition.compile(dialect=sqlite.dialect()))


@pytest.mark.parametrize(
    "condition", ["optimizer = 'adan'", "optimizer != 'adan'", "optimizer in ('sgd', 'adan')"]
)
def test_a_name_that_no_run_has_suggests_a_near_one(filled: Database, condition: str) -> None:
    with pytest.raises(UnknownNameError, match=r"optimizer 'adan'\. Did you mean 'adam'"):
        pairs(filled, condition)
    assert pairs(filled, "status = 'diverged'").empty  # none is there, and yet it is a status


@pytest.mark.parametrize("condition", ["optimizer = adam", "adam = optimizer", "model in [adam]"])
def test_text_without_quotes_is_told_to_be_quoted(filled: Database, condition: str) -> None:
    with pytest.raises(QueryError, match="no column 'adam'; quote text: "):
        pairs(filled, condition)
    with pytest.raises(UnknownNameError, match="unknown column 'lrr'"):
        pairs(filled, "lrr = 1")

"""Odd and damaged results of others: no traceback, and no silently wrong value.

Each case has a truth beside it that our readers did not see. Of cells that are odd it is known what
they mean; of files that are damaged at random, Python's own ``csv`` and ``json`` say what is left.
The long run (``make test-fuzz``) has 360 imports in six formats.
"""

import csv
import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from damage import damaged, outcome

import oodbench
from oodbench.errors import OodbenchError
from oodbench.importing import (
    import_csv,
    import_domainbed,
    import_mlflow,
    import_open_clip,
    import_timm,
    import_wandb,
)

short_and_long = pytest.mark.parametrize(
    "each", [pytest.param(4, id="short"), pytest.param(30, id="long", marks=pytest.mark.slow)]
)
X = {"dataset": "X"}
ODD: Mapping[str, float | None] = {
    **dict.fromkeys(["", " ", "NaN", "-inf", "1e999", "null", "None", "-", "n/a"]),
    **dict.fromkeys(
        ["0.25x", "0,25", "25%", "0x1p-2", "-0.25", "'0.25", "True", "0.2.5", "[0.25]"]
    ),
    **dict.fromkeys([" 0.25 ", "+0.25", "'+0.25", "2.5e-1", ".25", "0.25000", "\t0.25"], 0.25),
}
"""What stands in a cell of fractions -> what it means; None: it is no score."""
TOO_HIGH = "25"
"""In a column of fractions: the whole table is refused."""
ENDED = {"finished": "completed", "FINISHED": "completed", "crashed": "failed", "failed": "failed",
         "KILLED": "failed", "running": "", "": "", "Finished ": "completed"}  # fmt: skip
"""State -> status; empty: it has not ended."""

Models = dict[str, dict[str, Any]]
"""Name -> ``val``, ``test`` and ``lr`` as texts, and ``state``."""


def models_of(draw: random.Random) -> Models:
    """Twelve models, whose names are of all kinds."""
    odd = [
        "a\u2028b",
        "=1+1",
        "'quoted'",
        'q"q',
        "c,d",
        "é",
        "x y",
        "<b>",
        "-1+1",
        "@x",
        "'=1",
        "z",
    ]
    return {
        name: {
            "val": f"0.{draw.randrange(1000, 9999)}",
            "test": f"0.{draw.randrange(1000, 9999)}",
            "lr": f"0.{draw.randrange(1, 99):02}1",
            "state": "finished",
        }
        for name in odd
    }


def as_csv(rows: list[list[str]]) -> bytes:
    """The rows as exports write them: what a spreadsheet would run has an apostrophe."""
    text = io.StringIO(newline="")
    shown = ([f"'{c}" if c.lstrip("'")[:1] in ("=", "-", "@") and not c[1:2].isdigit() else c
              for c in row] for row in rows[1:])  # fmt: skip
    csv.writer(text, lineterminator="\n").writerows([rows[0], *shown])
    return text.getvalue().encode()


@dataclass(frozen=True)
class Format:
    """A table of models in a format.

    Attributes:
        write: Models -> files by name.
        read: Folder, database -> imports them.
        name, val, test: The columns.
        lr: Says the learning rate of a row; None: it is not told.
        states: Whether it has states.
        scale: What its scores are divided by to be fractions.
    """

    write: Callable[[Models], dict[str, bytes]]
    read: Callable[[Path, Path], Any]
    name: str
    val: str
    test: str
    lr: Callable[[dict[str, str]], str] | None = None
    states: bool = False
    scale: float = 1.0


def one_file(*columns: str, cells: Callable[[str, dict[str, Any]], list[str]]) -> Any:
    def write(models: Models) -> dict[str, bytes]:
        return {"t.csv": as_csv([[*columns], *(cells(n, m) for n, m in models.items())])}

    return write


def timm_files(models: Models) -> dict[str, bytes]:
    """Two files in percent, the second in another order."""

    def rows(score: str) -> list[list[str]]:
        found = [[name, "224", percent(m[score]), "1.5"] for name, m in models.items()]
        return [["model", "img_size", "top1", "param_count"], *found]

    (head, *last) = rows("test")
    return {"results-a.csv": as_csv(rows("val")), "results-b.csv": as_csv([head, *last[::-1]])}


def percent(text: str) -> str:
    return f"{float(text) * 100:.2f}" if text[:2] == "0." and text[2:].isdigit() else text


def config(m: dict[str, Any]) -> str:
    return json.dumps({"lr": float(m["lr"]), "optimizer": {"name": "sgd"}, "_wandb": {}})


FORMATS = {
    "csv": Format(
        one_file("m", "v", "t", "lr", cells=lambda n, m: [n, m["val"], m["test"], m["lr"]]),
        lambda at, db: import_csv(
            at / "t.csv", db, {"model": "m", "id": "v", "ood": "t", "hparams.lr": "lr"}, X
        ),
        *("m", "v", "t"),
        lambda row: row["lr"],
    ),
    "wandb": Format(
        one_file("ID", "State", "config", "v", "t", "note",
                 cells=lambda n, m: [n, m["state"], config(m), m["val"], m["test"], "x"]),
        lambda at, db: import_wandb(
            at / "t.csv", db, {"model": "ID", "id_val": "v", "ood": "t"}, X
        ),
        *("ID", "v", "t"),
        lambda row: str(json.loads(row["config"])["lr"]),
        states=True,
    ),
    "mlflow": Format(
        one_file("run_id", "status", "metrics.v", "metrics.t", "params.lr",
                 cells=lambda n, m: [n, m["state"], m["val"], m["test"], m["lr"]]),
        lambda at, db: import_mlflow(
            at / "t.csv", db, {"model": "run_id", "id": "metrics.v", "ood": "metrics.t"}, X
        ),
        *("run_id", "metrics.v", "metrics.t"),
        lambda row: row["params.lr"],
        states=True,
    ),
    "open_clip": Format(
        one_file("name", "pretrained", "V", "T", "rest",
                 cells=lambda n, m: [n, "laion", m["val"], m["test"], "x"]),
        lambda at, db: import_open_clip(at / "t.csv", db, "V", ["T"]),
        *("name", "V", "T"),
    ),
    "timm": Format(
        timm_files, lambda at, db: import_timm(at, db, "a", ["b"]), "model", "top1", "top1",
        scale=100,
    ),
}  # fmt: skip


def imported(form: Format, files: dict[str, bytes], folder: Path) -> Any:
    """What came of the files: runs by model, or the mistake that was named."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    found = outcome(lambda: form.read(folder, folder / "runs.db"))
    if isinstance(found, OodbenchError):
        assert str(found)
        return found
    runs = oodbench.query(folder / "runs.db")
    assert len(runs) == found.new
    return runs


def is_score(text: str) -> bool:
    return text not in ODD or ODD[text] is not None


def value(text: str) -> float:
    return ODD[text] if text in ODD else float(text)  # type: ignore[return-value]


@short_and_long
@pytest.mark.parametrize("kind", FORMATS)
def test_odd_cells(kind: str, each: int, tmp_path: Path) -> None:
    """Each is its number, or its row is named; a run that did not end well needs no number."""
    form, draw = FORMATS[kind], random.Random(f"{kind} {each}")
    for number in range(each):
        models = models_of(draw)
        for name in draw.sample([*models], draw.randrange(1, 9)):
            models[name][draw.choice(["val", "test"])] = draw.choice([*ODD])
        if form.states:
            for name in draw.sample([*models], 4):
                models[name]["state"] = draw.choice([*ENDED])
        refused = kind != "timm" and draw.random() < 0.15
        if refused:
            models["z"].update(val="0.5", test=TOO_HIGH, state="finished")
        if kind == "timm":  # in percent: an odd cell means the same of 100
            models = {n: {**m, "val": percent(m["val"]), "test": percent(m["test"])}
                      for n, m in models.items()}  # fmt: skip
        runs = imported(form, form.write(models), tmp_path / str(number))
        if refused:
            assert "are above 1" in str(runs)
            continue
        expected = {}
        for name, m in models.items():
            status = ENDED[m["state"]] if form.states else "completed"
            whole = is_score(m["val"]) and is_score(m["test"])
            if status == "failed" or (status and whole):
                expected[name] = (status, m)
        assert not isinstance(runs, OodbenchError), runs
        assert set(runs["model"]) == set(expected)
        for run in runs.itertuples():
            status, m = expected[run.model]
            assert run.status == status
            if status == "completed":
                assert run.id == pytest.approx(value(m["val"]) / form.scale, abs=1e-12)
                assert run.ood == pytest.approx(value(m["test"]) / form.scale, abs=1e-12)
            if form.lr is not None:
                assert run.lr == float(m["lr"])


def said(form: Format, content: bytes) -> list[dict[str, str]]:
    """The rows of a file as Python's csv reads them, without apostrophes of exports."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    return [{(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str)}
            for row in rows]  # fmt: skip


def is_model(cell: str, model: str) -> bool:
    return cell in (model, f"'{model}")


@short_and_long
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_tables(kind: str, each: int, tmp_path: Path) -> None:
    """Each is refused, or its runs have the numbers that stand in a row of their own."""
    form, draw = FORMATS[kind], random.Random(f"damaged {kind} {each}")
    for number in range(each):
        files = form.write(models_of(draw))
        victim = draw.choice([*files])
        files[victim] = damaged(files[victim], draw)[0]
        if draw.random() < 0.1:
            files[victim] = b"\xef\xbb\xbf" + files[victim]
        runs = imported(form, files, tmp_path / str(number))
        if isinstance(runs, OodbenchError):
            continue
        first, *_, last = [said(form, content) for content in files.values()] * 2
        for run in runs[runs["status"] == "completed"].itertuples():
            ids = [row for row in first if is_model(row[form.name], run.model)]
            oods = [row for row in last if is_model(row[form.name], run.model)]
            assert run.id in [number_in(row.get(form.val, "")) / form.scale for row in ids]
            assert run.ood in [number_in(row.get(form.test, "")) / form.scale for row in oods]
            wanted = learning_rate(form, ids[0])
            if len(ids) == 1 and wanted is not None and hasattr(run, "lr"):
                assert run.lr == wanted


def learning_rate(form: Format, row: dict[str, str]) -> float | None:
    """What the row says; None if that is no number any more."""
    try:
        return None if form.lr is None else float(form.lr(row))
    except (ValueError, KeyError, TypeError):
        return None


def number_in(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


SOUND: Mapping[str, Any] = {"dataset": "Mine", "algorithm": "ERM", "trial_seed": 0}
BAD: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "a text": lambda line: line.update(env1_in_acc="0.25"),
    "true": lambda line: line.update(env1_in_acc=True),
    "nothing": lambda line: line.update(env0_out_acc=None),
    "nan": lambda line: line.update(env2_in_acc=float("nan")),
    "too high": lambda line: line.update(env0_in_acc=1.5),
    "negative": lambda line: line.update(env0_in_acc=-0.1),
    "one is missing": lambda line: line.pop("env1_out_acc"),
    "one too many": lambda line: line.update(env9_in_acc=0.5),
    "a step that is none": lambda line: line.update(step="ten"),
    "a step that was": lambda line: line.update(step=0),
    "no arguments": lambda line: line.pop("args"),
    "other arguments": lambda line: line.update(args={**line["args"], "hparams_seed": 99}),
    "other hparams": lambda line: line.update(hparams={"lr": 7}),
    "tested on none": lambda line: line["args"].update(test_envs=[]),
    "tested on another": lambda line: line["args"].update(test_envs=[7]),
}
"""What makes a log none that DomainBed writes."""
DIVERGED = ("loss", "gen_loss", "disc_loss", "penalty", "irm_penalty", "nll")


def logs_of(draw: random.Random) -> list[list[dict[str, Any]]]:
    """Five runs of three steps on three environments."""
    return [
        [
            {"step": 100 * step, "loss": draw.random(), "hparams": {"lr": 1e-3 * (run + 1)},
             "args": {**SOUND, "test_envs": [run % 3], "hparams_seed": run, "seed": run},
             **{f"env{e}_{part}_acc": draw.randrange(10**4) / 10**4
                for e in range(3) for part in ("in", "out")}}
            for step in range(3)
        ]
        for run in range(5)
    ]  # fmt: skip


def written(logs: list[list[dict[str, Any]]], folder: Path) -> list[Path]:
    paths = []
    for run, lines in enumerate(logs):
        path = folder / f"run{run}" / "results.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        paths.append(path)
    return paths


def scores_of(lines: list[dict[str, Any]]) -> tuple[float, float]:
    """ID and OOD accuracy at the last step, as DomainBed means them."""
    line, (tested,) = max(lines, key=lambda one: one["step"]), lines[0]["args"]["test_envs"]
    ids = [line[f"env{e}_out_acc"] for e in range(3) if e != tested]
    return sum(ids) / 2, line[f"env{tested}_in_acc"]


def read_logs(folder: Path) -> Any:
    """The imported runs by ``lr``, or the mistake that was named."""
    found = outcome(lambda: import_domainbed(folder, folder.parent / f"{folder.name}.db"))
    if isinstance(found, OodbenchError):
        return found
    return oodbench.query(folder.parent / f"{folder.name}.db").set_index("lr")


@short_and_long
def test_odd_logs(each: int, tmp_path: Path) -> None:
    """A line that DomainBed does not write leaves its run out; a loss that is none, diverged."""
    draw = random.Random(f"logs {each}")
    for number in range(each):
        logs, fate = logs_of(draw), {}
        for run in draw.sample(range(5), 3):
            kind = draw.choice([*BAD, *DIVERGED, "cut", "cut"])
            if kind in DIVERGED:
                fate[run] = "diverged"
                logs[run][draw.randrange(3)][kind] = draw.choice([float("nan"), float("inf")])
            elif kind == "cut":
                fate[run] = "out"
                del logs[run][draw.randrange(1, 3) :]
            else:
                fate[run] = "out"
                BAD[kind](logs[run][draw.randrange(1, 3)])
        written(logs, tmp_path / str(number))
        runs = read_logs(tmp_path / str(number))
        assert not isinstance(runs, OodbenchError), (fate, runs)
        kept = [run for run in range(5) if fate.get(run) != "out"]
        assert sorted(runs.index) == pytest.approx([1e-3 * (run + 1) for run in kept])
        for run in kept:
            row = runs.loc[1e-3 * (run + 1)]
            assert row["status"] == fate.get(run, "completed")
            if run not in fate:
                assert (row["id"], row["ood"]) == pytest.approx(scores_of(logs[run]))


@short_and_long
def test_damaged_logs(each: int, tmp_path: Path) -> None:
    """Each is left out, or has what json reads in it, at all of its steps; others are untouched."""
    draw = random.Random(f"damaged logs {each}")
    for number in range(each):
        logs = logs_of(draw)
        paths = written(logs, tmp_path / str(number))
        victim = draw.randrange(5)
        paths[victim].write_bytes(damaged(paths[victim].read_bytes(), draw)[0])
        runs = read_logs(tmp_path / str(number))
        assert not isinstance(runs, OodbenchError), runs
        there = {*runs.index}
        for run in {*range(5)} - {victim}:
            row = runs.loc[1e-3 * (run + 1)]
            assert (row["id"], row["ood"]) == pytest.approx(scores_of(logs[run]))
            there.discard(1e-3 * (run + 1))
        for lr in there:  # the damaged one, whose lr may be another now
            row = runs.loc[lr]
            lines = [json.loads(line) for line in paths[victim].read_text().splitlines()]
            assert len(lines) == 3
            if row["status"] == "completed":
                assert (row["id"], row["ood"]) == pytest.approx(scores_of(lines))

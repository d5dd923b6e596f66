"""Judging a claim of a paper by the runs of one or several databases."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from oodbench import analysis
from oodbench.errors import RequestError, UnknownNameError, check_name
from oodbench.machine import one_blas_thread
from oodbench.results import open_database, pairs
from oodbench.results.predictions import Predictions
from oodbench.results.targets import by_target
from oodbench.siblings import sibling
from oodbench.sweep.files import parse_yaml
from oodbench.workers.artifacts import known_predictions


def claim_names() -> list[str]:
    """The claims that are shipped."""
    return sorted(path.stem for path in (sibling("sweeps") / "claims").glob("*.yaml"))


def load_claim(file: str | Path) -> "analysis.Claim":
    """A claim file, or one that is shipped, by its name.

    Raises:
        RequestError: The file cannot be read, or says something that does not hold.
        UnknownNameError: There is no claim of that name, or a key is unknown.
    """
    path = Path(file)
    if not path.suffix and not path.exists():
        check_name("claim", str(file), claim_names())
        path = sibling("sweeps") / "claims" / f"{file}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"Cannot read the claim file {path}: {error}.") from error
    return analysis.Claim.of(parse_yaml(text, str(path)), str(path))


def claim(
    file: str | Path,
    db: str | Path | Sequence[str | Path],
    *,
    checkpoint: str = "last",
    badge: str | Path | None = None,
    seed: int = 0,
) -> "analysis.Judged":
    """Judge a claim by the runs of its population; see ``analysis.judge_claim``.

    Args:
        file: A claim file (YAML), or the name of one that is shipped, such as
            ``naganuma2023-i-ood``.
        db: URL or path of a database, or several, whose runs are pooled; a run that several have
            counts once.
        checkpoint: Which checkpoint of a run is scored.
        badge: An SVG file to write, with the verdict.
        seed: Seed of the bootstrap.

    Raises:
        RequestError: The file cannot be read, says something that does not hold, or no database is
            named.
        UnknownNameError: There is no such claim, key or checkpoint rule.
        QueryError: The claim's condition is none.
        DatabaseError: A database cannot be used.
    """
    stated = load_claim(file)
    databases = [db] if isinstance(db, str | Path) else list(db)
    if not databases:
        raise RequestError("A claim is judged by runs: name at least one database (--db).")
    tables: list[pd.DataFrame] = []
    predictions: list[Predictions] = []
    unknown: list[str] = []
    for target in databases:
        frame, known, reason = _runs(target, stated.population.where, checkpoint)
        unknown += [reason] if reason else []
        seen = {run for earlier in tables for run in earlier["run"]}
        tables.append(frame)
        predictions += [_without(one, seen) for one in known]
    table = pd.concat(tables, ignore_index=True)
    keys = ["run", *(["target"] if "target" in table else [])]
    table = table.drop_duplicates(keys, ignore_index=True)
    with one_blas_thread():
        judged = analysis.judge_claim(stated, table, predictions, seed=seed)
    judged = replace(judged, missing=(*dict.fromkeys(unknown), *judged.missing))
    if badge is not None:
        svg = analysis.claim_badge(judged, Path(file).stem)
        Path(badge).write_text(svg, encoding="utf-8", newline="\n")
    return judged


def _runs(
    db: str | Path, where: str, checkpoint: str
) -> tuple[pd.DataFrame, tuple[Predictions, ...], str]:
    """The runs of a database that a condition chooses, what they predicted, and why there are none.

    A database whose searches lack a hyperparameter has no runs of the claim, which is reported: the
    name may be misspelt.
    """
    with open_database(db, read_only=True) as database:
        try:
            table = by_target(pairs(database, where or None, None, checkpoint))
        except UnknownNameError as error:  # such as a hyperparameter that no search here has
            if not where:
                raise
            none = by_target(pairs(database, None, None, checkpoint)).iloc[:0]
            first = str(error).partition(" Allowed:")[0]  # every column would follow
            return none, (), f"where: {where}: {first}"
        return table, known_predictions(database, where or None, None, checkpoint), ""


def _without(known: Predictions, runs: set[str]) -> Predictions:
    """The predictions of other runs than these."""
    kept = [number for number, run in enumerate(known.runs) if run not in runs]
    names = tuple(known.runs[number] for number in kept)
    return replace(known, runs=names, predicted=known.predicted[kept])

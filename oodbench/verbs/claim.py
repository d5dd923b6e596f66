"""Judging a claim of a paper by the runs of one or several databases."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from oodbench import analysis
from oodbench.errors import RequestError, check_name
from oodbench.machine import one_blas_thread
from oodbench.siblings import sibling
from oodbench.sweep.files import parse_yaml
from oodbench.verbs.pooling import pooled


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
            counts once. Or an archive, or a study that is shipped, such as ``digits``.
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
    pool = pooled(databases, stated.population.where, checkpoint)
    with one_blas_thread():
        judged = analysis.judge_claim(stated, pool.runs, pool.predictions, seed=seed)
    judged = replace(judged, missing=(*pool.unknown, *judged.missing))
    if badge is not None:
        svg = analysis.claim_badge(judged, Path(file).stem)
        Path(badge).write_text(svg, encoding="utf-8", newline="\n")
    return judged

"""Your own optimizer beside those of the leaderboard: only it is trained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oodbench import analysis
from oodbench.errors import RequestError, SweepError, UnknownNameError
from oodbench.results import sweep_specs
from oodbench.sweep.files import parse_yaml
from oodbench.verbs.example import example_names
from oodbench.verbs.leaderboard import leaderboard
from oodbench.verbs.pooling import opened
from oodbench.verbs.sweep import run_sweep

LEADERBOARD = "leaderboard"
"""All studies that are shipped."""
TAKES = ("name", "optimizers", "parallel")
"""What the file says; all else is the leaderboard's."""
DROPPED = ("confirm", "slurm", "ray", "parallel")
"""Keys of the leaderboard's sweeps that are not for others."""


def compare(
    file: str | Path | Mapping[str, Any],
    db: str | Path,
    *,
    against: str | Path | Sequence[str | Path] = LEADERBOARD,
    datasets: Sequence[str] = (),
    output: str | Path | None = None,
    reference: str = "momentum",
    seed: int = 0,
    on_step: Callable[[str], None] = lambda what: None,
    **training: Any,
) -> tuple["analysis.Leaderboard", tuple[str, ...]]:
    """Train your own optimizers on the leaderboard's testbeds, with the same draws, and compare.

    Called again after an interruption, it goes on from there.

    Args:
        file: A file (YAML) or what it says: ``optimizers``, as in a sweep file, and a ``name``.
        db: URL of the database for the new runs, or path of a SQLite file; created if missing.
        against: Runs of the leaderboard: ``leaderboard`` (all studies that are shipped), the name
            of one, an archive, a database; or several.
        datasets: Only these.
        output: A folder for the page of all; None: write none.
        reference: The optimizer that verdicts compare with.
        seed: Seed of the bootstrap.
        on_step: Called with what is being done.
        training: Options of ``run_sweep``, such as ``workers`` and ``device``.

    Returns:
        The leaderboard with the new runs, and the names of the optimizers in the file.

    Raises:
        SweepError: The file says something that does not hold.
        RequestError: There is nothing to compare with, or an optimizer there has the same name and
            another search space.
        UnknownNameError: No such dataset or reference.
        DatabaseError: A database cannot be used.
    """
    mine = _said(file)
    places = [against] if isinstance(against, str | Path) else list(against)
    places = [one for place in places for one in _meant(place)]
    for place in places:
        for spec in _specs(place, mine, datasets):
            on_step(f"training {spec['name']}")
            run_sweep(spec, db, **training)
    board = leaderboard([*places, db], output, reference=reference, seed=seed, on_step=on_step)
    return board, tuple(dict.fromkeys(_names(mine["optimizers"])))


def _said(file: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """What the file says."""
    where = "the file" if isinstance(file, Mapping) else str(file)
    if isinstance(file, Mapping):
        said: Any = file
    else:
        try:
            said = parse_yaml(Path(file).read_text(encoding="utf-8"), where)
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"Cannot read {where}: {error}.") from error
    if not isinstance(said, Mapping) or not isinstance(said.get("optimizers"), list):
        raise SweepError(f"{where}: say which optimizers to train, such as optimizers: [muon].")
    if other := sorted(said.keys() - set(TAKES)):
        raise SweepError(
            f"{where}: {', '.join(map(str, other))}: it takes {', '.join(TAKES)}; data, models, "
            "training and search are those of the leaderboard. Leave it out, or train a sweep."
        )
    return said


def _meant(place: str | Path) -> Sequence[str | Path]:
    return example_names() if str(place) == LEADERBOARD else [place]


def _specs(
    place: str | Path, mine: Mapping[str, Any], datasets: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The sweeps of a place, with your own optimizers in place of theirs."""
    with opened(place) as database:
        theirs = [item for item in sweep_specs(database, counted=False) if item["spec"]]
    every = {entry["name"] for item in theirs for entry in item["spec"]["datasets"]}
    if datasets and not every.intersection(datasets):
        raise UnknownNameError("dataset", datasets[0], sorted(every))
    for item in theirs:
        spec = {key: value for key, value in item["spec"].items() if key not in DROPPED}
        kept = [one for one in spec["datasets"] if not datasets or one["name"] in datasets]
        if kept:
            own = {key: mine[key] for key in ("optimizers", "parallel") if key in mine}
            name = f"{mine.get('name', 'mine')}-{item['name']}"
            yield {**spec, **own, "datasets": kept, "name": name}


def _names(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        yield str(entry["name"] if isinstance(entry, Mapping) else entry)

"""reproduce: a stored run, trained again."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.options import Db, Device, Root, Run, use_root

if TYPE_CHECKING:
    from oodbench.verbs.reproduce import Reproduced


def reproduce(
    run: Run,
    db: Db,
    weights: Annotated[
        Path | None, typer.Option(help="Write the new weights to this file.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Largest difference that still matches.")] = 0.0,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Train a stored run again, and compare every measurement.

    The database is only read. Exit code 1 if it does not match.

    Example: oodbench reproduce 3f2a91 --db digits.db --weights 3f2a91.safetensors
    """
    use_root(root)
    found = api.reproduce(db, run, weights=weights, tolerance=tolerance, device=device)
    for line in report(found):
        print(line)
    if weights is not None:
        done = found.status[1] == "completed"
        print(f"wrote {weights}" if done else f"wrote no weights: the new run {found.status[1]}")
    if not found.matches:
        raise typer.Exit(1)


def report(found: "Reproduced") -> Iterator[str]:
    """What there is to say, the verdict first."""
    if found.exact:
        verdict = "reproduced exactly"
    else:
        verdict = "reproduced within the tolerance" if found.matches else "NOT reproduced"
    yield f"run {found.run}: {verdict}"
    old, new = found.status
    yield f"status: {new}" + ("" if old == new else f", but {old} is stored")
    if found.reason:
        yield f"reason: {found.reason}"
    yield f"measurements: {found.compared}, of which {found.differing} differ"
    if found.where:
        yield f"largest difference: {found.largest:.3g} at {found.where}"
    for checkpoint, same in found.weights.items():
        yield f"weights ({checkpoint}): {'the same bytes' if same else 'other ones'}"
    for name, (stored, here) in found.origins.items():
        if stored is not None:
            yield f"{name.replace('_', ' ')}: {here} here, {stored} when it was trained"
    if older := [name for name, (stored, _) in found.origins.items() if stored is None]:
        yield f"not recorded when it was trained: {', '.join(older).replace('_', ' ')}"

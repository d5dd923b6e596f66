"""show, evaluate, reproduce: one run at a time."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench.cli.options import Artifacts, Db, Device, Root, use_root
from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    from oodbench.records import Trial
    from oodbench.results import RunDetails
    from oodbench.verbs.reproduce import Reproduced

Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or enough of its beginning.")]


def show(
    run: Run,
    db: Db,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Tell all that is known of one run.

    Example: oodbench show 3f2a91 --db digits.db
    """
    from oodbench import api
    from oodbench.cli.printing import show as show_table
    from oodbench.cli.printing import show_one

    if format_ not in ("text", "json"):
        raise UnknownNameError("format", format_, ("text", "json"))
    details = api.show(db, run)
    if format_ == "json":
        print(json.dumps(details.to_json(), indent=1))
        return
    import pandas as pd

    names, values = zip(*describe(details, db), strict=True)
    show_one(pd.Series(values, index=names))
    if details.scores:
        print()
        show_table(scores_table(details.scores))


REGIME = ("schedule", "warmup", "clip_norm", "label_smoothing", "balance", "average")
"""Training settings that are told only where they are not at their default."""

SPENT = ("compute", "communication", "waiting")
"""What the seconds of a replica go into, where they were measured."""


def regime(trial: "Trial") -> str:
    """Such as ``, schedule cosine, warmup 0.1``."""
    given = {k: v for k, v in trial.to_json().items() if k in REGIME}
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in given.items())


def describe(details: "RunDetails", db: str) -> Iterator[tuple[str, str]]:
    """What a run is and what became of it, in the order in which one asks."""
    from oodbench.workers.executors.local import log_of

    trial, names = details.trial, dict(enumerate(details.environments))
    test = ", ".join(f"{names.get(i, '?')} ({i})" for i in trial.test_environments)
    yield "run", details.run
    yield "status", details.status
    if details.reason:
        yield "reason", details.reason
    tested = test or "its published splits"
    yield "dataset", f"{trial.dataset}{listed(trial.dataset_options)}, tested on {tested}"
    yield "model", f"{trial.model}{listed(trial.model_options)}"
    yield "algorithm", f"{trial.algorithm}{listed(trial.algorithm_options)}"
    yield "optimizer", trial.optimizer
    yield "hyperparameters", ", ".join(f"{k} {v}" for k, v in trial.hparams.items())
    batch = ", ".join(f"{k} {v}" for k, v in trial.batch.items())
    if trial.steps:
        yield (
            "training",
            f"{trial.steps} steps, batch {batch or 'unknown'}, evaluated every "
            f"{trial.evaluate_every}, {trial.precision}, seed {trial.seed}, data seed "
            f"{trial.data_seed}{regime(trial)}",
        )
    for item in details.asked_by:
        yield (
            "asked for by" if item is details.asked_by[0] else "and by",
            f"sweep {item['sweep']}, study {item['study']}, trial {item['index']} "
            f"({item['sampler']})",
        )
    if trial.source:
        yield from imported(details)
        return
    yield "worker", f"{details.owner or 'none yet'}, attempt {details.attempts}"
    log = log_of(db, details.owner) if details.owner else None
    if log is not None:
        yield "its log", str(log)
    if "torch" in details.provenance:  # a failed run has none
        yield from origin(details.provenance)


def imported(details: "RunDetails") -> Iterator[tuple[str, str]]:
    """Where an imported run comes from, and what is not known of it."""
    known = details.provenance["imported"]
    place = ", ".join(f"{key} {known[key]}" for key in ("folder", "file", "row") if key in known)
    yield "imported from", f"{known['from']}, {place}"
    for item in known["unknown"]:
        yield "not known" if item is known["unknown"][0] else "nor", item


def listed(options: Mapping[str, Any]) -> str:
    """Such as `` (width 8, depth 1)``; nothing if all are at their default."""
    return f" ({', '.join(f'{k} {v}' for k, v in options.items())})" if options else ""


def origin(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How a run came about, what it cost, and which weights were kept."""
    p = provenance
    versions = [f"{name} {p[name]}" for name in ("python", "torch", "numpy", "oodbench")]
    if "commit" in p:
        versions.append(f"commit {p['commit'][:12]}{' (changed)' if p['dirty'] else ''}")
    yield "versions", ", ".join(versions)
    how = f"in a stack of {p['stack_size']}" if p["stacked"] else "as a module of its own"
    yield "trained", f"on {p['device']}, {how}, with {p['optimizer_class']}"
    if "resumed_at" in p:
        yield "resumed at", f"step {', '.join(map(str, p['resumed_at']))}"
    yield (
        "cost",
        f"{p['seconds']:.4g} s, {p['gradient_evaluations']} gradients of "
        f"{p['examples_per_step']} examples, {p['peak_memory_bytes'] / 2**20:.0f} MiB",
    )
    if told := p.get("parallel"):
        yield (
            "replicas",
            f"{told['replicas']} ({told['engine']}), {told['samples']} examples, "
            f"{told['pseudo_steps']} pseudo-steps; each averaged {told['all_reduces']} vectors, "
            f"{told['bytes'] / 2**20:.4g} MiB in all",
        )
        if told.get("compute_seconds") is not None:
            spent = (f"{told[f'{what}_seconds']:.3g} s {what}" for what in SPENT)
            yield "of each replica", ", ".join(spent)
    for item in p.get("weights", []):
        at = f"{item['checkpoint']}, step {item['step']}"
        yield "weights", f"{item['file']} ({at}, {item['bytes']} bytes)"


def scores_table(scores: Mapping[str, Mapping[str, Any]]) -> Any:
    """A row a role, a column a checkpoint rule."""
    import pandas as pd

    last = scores["last"]
    roles = [role for role in last if role != "step" and not role.startswith("n_")]
    columns = {
        f"{rule} (step {values['step']})": [f"{values[role]:.4f}" for role in roles]
        for rule, values in scores.items()
    }
    n = [last[f"n_{role}"] or "?" for role in roles]
    return pd.DataFrame({"accuracy": roles, **columns, "n": n})


def evaluate(
    run: Run,
    db: Db,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Another dataset than the run's own.")
    ] = None,
    environments: Annotated[
        str | None, typer.Option("--environments", help="Only these, such as 0,2.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="last or best_id_val. [default: the one kept, or last]"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A file that `reproduce --weights` wrote.")
    ] = None,
    artifacts: Artifacts = None,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Score the kept weights of a run on every split of its dataset, or of another.

    Exit code 1 if training measured something else at that step.

    Example: oodbench evaluate 3f2a91 --db digits.db --environments 0,2
    """
    from oodbench import api
    from oodbench.cli.printing import show as show_table

    use_root(root)
    frame = api.evaluate(
        db,
        run,
        dataset=dataset,
        environments=indices(environments),
        checkpoint=checkpoint,
        weights=weights,
        artifacts=artifacts,
        device=device,
    )
    columns = ["environment", "split", "role", "accuracy", "n"]
    show_table(frame[columns].assign(accuracy=frame["accuracy"].map("{:.4f}".format)))
    known = frame[frame["stored"].notna()]
    off = known[known["stored"] != known["accuracy"]]
    print(f"run {frame['run'][0]} at step {frame['step'][0]}")
    if len(known):
        largest = (known["stored"] - known["accuracy"]).abs().max()
        said = f"{len(off)} of them differ, by up to {largest:.3g}" if len(off) else "all are equal"
        print(f"training measured {len(known)} of these accuracies: {said}")
    if len(off):
        raise typer.Exit(1)


def indices(text: str | None) -> list[int] | None:
    """``0,2`` as numbers."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise RequestError(
            f"--environments needs numbers such as 0,2, but got {text!r}."
        ) from error


def reproduce(
    run: Run,
    db: Db,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Write the new weights to this file.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest difference that still matches.")
    ] = 0.0,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Train a stored run again, here, and compare every measurement.

    The database is only read. Exit code 1 if it does not match.

    Example: oodbench reproduce 3f2a91 --db digits.db --weights 3f2a91.safetensors
    """
    from oodbench import api

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
        yield f"{name}: {here} here, {stored} when it was trained"


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (show, evaluate, reproduce):
        app.command()(command)

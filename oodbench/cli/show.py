"""show: all that is known of one run."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Db, Run
from oodbench.errors import UnknownNameError
from oodbench.machine import ARITHMETIC

if TYPE_CHECKING:
    from oodbench.records import Trial
    from oodbench.results import RunDetails


def show(
    run: Run,
    db: Db,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Show everything that is known about one run.

    Example: oodbench show 3f2a91 --db digits.db
    """
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


REGIME = ("schedule", "warmup", "clip_norm", "label_smoothing", "balance", "average", "wise_ft")
"""Training settings that are shown only where they are not at their default."""

SPENT = ("compute", "communication", "waiting")
"""What the seconds of a replica go into, where they were measured."""


def regime(trial: "Trial") -> str:
    """The training settings as text, such as ``, schedule cosine, warmup 0.1``."""
    given = {k: v for k, v in trial.to_json().items() if k in REGIME}
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in given.items())


def describe(details: "RunDetails", db: str) -> Iterator[tuple[str, str]]:
    """What a run is and what became of it, in the order in which one asks."""
    from oodbench.results.targets import listed as listed_targets
    from oodbench.workers.executors.local import log_of

    trial, names = details.trial, dict(enumerate(details.environments))
    test = ", ".join(f"{names.get(i, '?')} ({i})" for i in trial.test_environments)
    yield "run", details.run
    yield "status", details.status
    if details.reason:
        yield "reason", details.reason
    tested = listed_targets(details.targets) or test or "its published splits"
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
    for checkpoint, kept in details.predictions.items():
        place = kept.get("file", "in the database")
        yield (
            "predictions",
            f"{place} ({checkpoint}, {kept['examples']} examples, {kept['bytes']} bytes)",
        )


def imported(details: "RunDetails") -> Iterator[tuple[str, str]]:
    """Where an imported run comes from, and what is not known of it."""
    known = details.provenance["imported"]
    place = ", ".join(f"{key} {known[key]}" for key in ("folder", "file", "row") if key in known)
    yield "imported from", f"{known['from']}, {place}"
    for item in known["unknown"]:
        yield "not known" if item is known["unknown"][0] else "nor", item


def listed(options: Mapping[str, Any]) -> str:
    """Options as text, such as `` (width 8, depth 1)``; empty if all are at their default."""
    return f" ({', '.join(f'{k} {v}' for k, v in options.items())})" if options else ""


def origin(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How a run came about, what it cost, and which weights were kept."""
    from oodbench.verbs.show import different_here

    p = provenance
    versions = [f"{name} {p[name]}" for name in ("python", "torch", "numpy", "oodbench")]
    if "commit" in p:
        versions.append(f"commit {p['commit'][:12]}{' (changed)' if p['dirty'] else ''}")
    yield "versions", ", ".join(versions)
    yield "arithmetic", arithmetic(p)
    if others := different_here(p):
        yield "other here", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in others.items())
    how = f"in a stack of {p['stack_size']}" if p["stacked"] else "as a module of its own"
    yield "trained", f"on {p['device']}{of_gpu(p)}, {how}, with {p['optimizer_class']}"
    if "resumed_at" in p:
        yield "resumed at", f"step {', '.join(map(str, p['resumed_at']))}"
    yield (
        "cost",
        f"{p['seconds']:.4g} s, {p['gradient_evaluations']} gradients of "
        f"{p['examples_per_step']} examples, {p['peak_memory_bytes'] / 2**20:.0f} MiB",
    )
    if group := p.get("parallel"):
        yield (
            "replicas",
            f"{group['replicas']} ({group['engine']}), {group['samples']} examples, "
            f"{group['pseudo_steps']} pseudo-steps; each averaged {group['all_reduces']} vectors, "
            f"{group['bytes'] / 2**20:.4g} MiB in all",
        )
        if group.get("compute_seconds") is not None:
            spent = (f"{group[f'{what}_seconds']:.3g} s {what}" for what in SPENT)
            yield "of each replica", ", ".join(spent)
    for item in p.get("weights", []):
        at = f"{item['checkpoint']}, step {item['step']}"
        yield "weights", f"{item['file']} ({at}, {item['bytes']} bytes)"


def of_gpu(provenance: Mapping[str, Any]) -> str:
    """A GPU's facts, such as `` (driver 580.95, deterministic)``; empty for a run on a CPU."""
    if "deterministic" not in provenance:
        return ""
    same = "deterministic" if provenance["deterministic"] else "not deterministic"
    return f" (driver {provenance['driver'] or 'unknown'}, {same})"


def arithmetic(provenance: Mapping[str, Any]) -> str:
    """The arithmetic, such as ``AMD EPYC 9R14 (AVX512), numpy blas openblas 0.3.31 Zen, ...``."""
    if "processor" not in provenance:
        return "not recorded"
    first, vectors, *others = ARITHMETIC
    parts = (f"{name.replace('_', ' ')} {provenance[name]}" for name in others)
    return ", ".join([f"{provenance[first]} ({provenance[vectors]})", *parts])


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

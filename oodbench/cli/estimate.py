"""What a dry run says: of models, GPU hours and disk, or of what is stored."""

from typing import TYPE_CHECKING, Any

from oodbench import api
from oodbench.cli.deciding import tell_looks
from oodbench.errors import RequestError

if TYPE_CHECKING:
    from oodbench.sweep import SweepSpec
    from oodbench.sweep.entries import DatasetEntry
    from oodbench.sweep.estimate import Estimate
    from oodbench.verbs.rehearsal import Rehearsal

MIB, GIB = 2**20, 2**30
MEANINGS = {
    "bf16": "bf16 the models' forward pass is in bfloat16, all else in float32",
    "tf32": "tf32 a GPU rounds what it multiplies to TF32, all else is in float32",
}
"""The meanings of the precisions that a dry run explains."""


def show_estimate(specs: "list[SweepSpec]", device: str) -> None:
    """Print a row a dataset, the sums, and what they rest on."""
    import pandas as pd

    from oodbench.cli.printing import show
    from oodbench.sweep.estimate import MEASUREMENT_BYTES, RUN_BYTES, estimate
    from oodbench.verbs.rehearsal import rehearse

    tried = {spec.name: rehearse(spec, device) for spec in specs}
    rows = [row for spec in specs for row in estimate(spec, tried[spec.name].seconds)]
    place = "core" if "cpu" in {one.device for one in tried.values()} else "GPU"
    show(pd.DataFrame([cells(row, f"{place} hours") for row in rows]))
    known = [row.seconds for row in rows if row.seconds is not None]
    caches = [row.cache for row in rows if row.cache is not None]
    missing = len(known) < len(rows), len(caches) < len(rows) or any(row.partly for row in rows)
    print(
        f"{sum(row.studies for row in rows)} studies, "
        f"{sum(row.models for row in rows):,} models to train: "
        f"{at_least(in_hours(sum(known)) if known else '?', missing[0])} {place} hours; on disk "
        f"{at_least(size(sum(caches)), missing[1])} of decoded images and "
        f"{size(sum(row.database for row in rows))} of database."
    )
    rates = dict.fromkeys(
        f"{spec.rate.examples_per_second:,.0f} examples a second ({spec.rate.source})"
        for spec in specs
        if spec.rate is not None
    )
    print("This is an estimate; with --db it leaves out what is stored.")
    for one in tried.values():
        tell_tried(one)
    if rates:
        print(f"GPU hours: training at {', or '.join(rates)}; scoring three times as fast.")
    if missing[0]:
        print(
            f"?: {place} hours need the data, to time a step; or a rate in the sweep file, steps "
            "in place of epochs, and a dataset whose size was published."
        )
    print(
        f"Images are counted as published. Database: {RUN_BYTES:,} bytes a run and "
        f"{MEASUREMENT_BYTES} a measurement, as found in SQLite."
    )


def tell_tried(found: "Rehearsal") -> None:
    """Say what was timed, and what was not checked."""
    if found.seconds:
        each = ", ".join(
            f"{seconds:.3g} s a model of {algorithm} on {dataset}"
            for (dataset, algorithm), seconds in found.seconds.items()
        )
        print(f"Timed steps on this machine ({found.device}), without scoring: {each}.")
    for (dataset, algorithm), why in found.untimed.items():
        print(f"Not timed, {algorithm} on {dataset}: {why}")
    for dataset, why in found.unchecked.items():
        print(f"The files of {dataset} are not checked: {why}")


def tell_targets(dataset: "DatasetEntry") -> None:
    """Say on which targets each training is tested."""
    from oodbench.cli.printing import plain
    from oodbench.results.targets import listed

    about = dataset.about
    if about.targets and dataset.test_environments != "each":
        (turn,) = dataset.turns()
        names = [about.environments[i] for i in about.tested_on(turn)]
        targets = f"{len(names)} targets" if len(names) > 1 else "the target"
        print(plain(f"Each training on {dataset.name} is tested on {targets}: {listed(names)}."))


def tell_spread(spec: "SweepSpec") -> None:
    """Say on which machines the executors spread each run."""
    for executor, machines in (("slurm", spec.slurm), ("ray", spec.ray)):
        if machines is not None and machines.spread:
            nodes = machines.nodes_per_run
            processes = spec.replicas[0] // nodes
            what = f"{machines.gpus_per_run} GPUs" if machines.gpus_per_run else "CPUs"
            print(
                f"{spec.name}: --executor {executor} trains {machines.workers} runs at once, each "
                f"on {what} of {nodes} node{'s' * (nodes > 1)}, by torchrun with {processes} "
                f"process{'es' * (processes > 1)} on each."
            )


def show_power(specs: "list[SweepSpec]", db: str | None) -> None:
    """Print what differences the sweeps would find, if there are runs to judge by."""
    import pandas as pd

    from oodbench.cli.printing import show

    try:
        table = pd.concat([api.power(spec, db) for spec in specs], ignore_index=True)
    except RequestError as error:  # such as runs of two protocols, which nothing may pool
        print(f"\nWhat its searches would find cannot be judged: {error}")
        return
    known = table[table["judged_by"] != ""]
    if known.empty:
        return
    print(
        "\nWhat its searches would find, with a probability of 80%: a difference between two "
        "optimizers in the\nOOD accuracy of the runs that ID validation selects."
    )
    points: dict[str, Any] = {
        "finds": [f"{100 * x:.1f} points" if x == x else "nothing" for x in known["finds"]],
        "2 points take": [
            f"{n:,.0f} trials" if n == n else "more examples" for n in known["needed"]
        ],
        "judged by": known["judged_by"],
    }
    show(known[["dataset", "algorithm", "trials"]].assign(**points))
    if not known["examples"].all():
        print("Without the error over test examples where no predictions of these runs are kept.")
    if any(spec.data_seeds > 1 for spec in specs) and not known["splits"].all():
        print("Without the error over data splits where these runs are of one split.")


def cells(row: "Estimate", hours: str) -> dict[str, object]:
    """One dataset's row of the printed table."""
    cache = "?" if row.cache is None else at_least(size(row.cache), row.partly)
    return {
        "sweep": row.sweep,
        "dataset": row.dataset,
        "studies": row.studies,
        "models": f"{row.models:,}",
        hours: "?" if row.seconds is None else in_hours(row.seconds),
        "images": "" if row.cache == 0 else cache,
        "database": size(row.database),
    }


def in_hours(seconds: float) -> str:
    """Hours, of less than one with two decimals."""
    hours = seconds / 3600
    if 0 < hours < 0.01:
        return "< 0.01"
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2f}"


def size(count: int) -> str:
    """Bytes, in the unit that suits."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / MIB:,.1f} MiB"


def at_least(text: str, incomplete: bool) -> str:
    """What is known of a sum."""
    return f"{'at least ' * (incomplete and text != '?')}{text}"


def preview(specs: "list[SweepSpec]", db: str | None, device: str = "auto") -> None:
    """Say what sweeps would train: beside a database, what is stored; else what they would take.

    Steps are timed on ``device``.
    """
    from oodbench.sweep.estimate import on_replicas

    if db is None:
        show_estimate(specs, device)
    else:
        for spec in specs:
            name = f"{spec.name}: " if len(specs) > 1 else ""
            added = api.preview(spec, db)
            waiting = added.known_runs - added.stored_runs
            most = "at most " if spec.search.stop else ""
            more = f", and {most}{added.later_runs} as results come in"
            later = more if added.later_runs else ""
            print(
                f"{name}{added.studies} studies, {added.runs} trials: {added.stored_runs} stored, "
                f"{waiting} waiting or running, {added.new_runs} new; "
                f"{added.new_runs + waiting} models to train{later}."
            )
    show_power(specs, db)
    for spec in specs:
        tell_looks(spec)
        for dataset in spec.datasets:
            tell_targets(dataset)
        if replicas := on_replicas(spec):
            counted = ", ".join(f"{n:,} models on {k}" for k, n in replicas.items())
            print(
                f"{spec.name}: {counted} replicas: one device simulates all of a run's; with "
                "--processes each takes a process and a core, with torchrun a device."
            )
            tell_spread(spec)
        if spec.data_seeds > 1:
            from oodbench.workers.trial_data import KEPT

            print(
                f"{spec.name}: each draw is trained on {spec.data_seeds} splits (data seeds "
                f"{spec.splits[0]} to {spec.splits[-1]}): {spec.data_seeds} times the models and "
                "the hours of one. Decoded images are on disk once for all splits; what is made "
                "from the training examples of one, such as TF-IDF, once for each. A worker keeps "
                f"the splits that it used last in memory, up to {KEPT}."
            )
        for precision, meaning in MEANINGS.items():
            if precision in spec.precisions:
                print(f"{spec.name}: precision {', '.join(spec.precisions)}; in {meaning}.")

"""Options that several commands share."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from oodbench.errors import RequestError
from oodbench.workers.worker_settings import WorkerSettings

Db = Annotated[
    str,
    typer.Option(
        "--db",
        envvar="OODBENCH_DB",
        help="Results database: a SQLite file or a URL (postgresql+psycopg://...).",
        show_default=False,
    ),
]
OptionalDb = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="OODBENCH_DB",
        help="Results database: a SQLite file or a URL; only a dry run can do without.",
        show_default=False,
    ),
]
Sweep = Annotated[str | None, typer.Option("--sweep", help="Only this sweep, by name.")]
SweepName = Annotated[str, typer.Argument(metavar="SWEEP", help="Name of the sweep.")]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, or enough of its first characters.")
]
Where = Annotated[
    str | None,
    typer.Option("--where", help="Condition, such as \"optimizer = 'adam' and lr < 1e-3\"."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Processes. [default: one per GPU, else per CPU core; slurm, ray: as the file says]",
    ),
]
Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="OODBENCH_DATA", help="Data folder of datasets with files."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change to the sweep file, such as train.steps=100; repeatable."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Checkpoint = Annotated[
    str, typer.Option("--checkpoint", help="Which checkpoint is scored: last, best_id_val.")
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget", help="Budget per optimizer. [default: 8 trials; 4 or 1 in small searches]"
    ),
]
Unit = Annotated[
    str, typer.Option("--unit", help="Unit of the budget: trials, gradient_evaluations or seconds.")
]
EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas/--no-escape-formulas",
        help="In CSV, put an apostrophe before text that a spreadsheet would run.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the bootstrap.")]
Artifacts = Annotated[
    Path | None,
    typer.Option(
        "--artifacts",
        envvar="OODBENCH_ARTIFACTS",
        help="Folder of checkpoints, weights and large predictions, shared by all workers. "
        "[default: NAME.artifacts beside NAME.db, else oodbench-artifacts]",
        show_default=False,
    ),
]
SETTINGS: dict[str, Any] = {
    "device": Device,
    "stack": Annotated[
        int | None,
        typer.Option(
            help="Maximum models per stack. [default: benchmarked once per machine, then cached]"
        ),
    ],
    "stack_memory": Annotated[
        float | None,
        typer.Option(
            help="GiB that a measured stack may need. [default: a quarter of the memory, shared by "
            "the cores; half of a GPU's]"
        ),
    ],
    "artifacts": Artifacts,
    "save_every": Annotated[
        float, typer.Option(help="Seconds between the checkpoints of a run that is trained alone.")
    ],
    "processes": Annotated[
        bool,
        typer.Option(
            "--processes",
            help="Train each replica in a process: torchrun's, if it started this one. Else they "
            "are simulated.",
        ),
    ],
    "replica_timeout": Annotated[
        float, typer.Option(help="With --processes: seconds that a replica waits for the others.")
    ],
    "loaders": Annotated[
        int | None,
        typer.Option(
            help="Threads of a worker that read and augment images ahead of its steps; 0: none. "
            "[default: measured, on cores that no worker trains on]"
        ),
    ],
    "compiled": Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the training step, with CUDA graphs on a GPU; results differ by "
            "rounding.",
        ),
    ],
    "cuda_graphs": Annotated[
        bool,
        typer.Option(
            "--cuda-graphs",
            help="Take a stack's step on a GPU as one CUDA graph, optimizers included.",
        ),
    ],
    "nondeterministic": Annotated[
        bool,
        typer.Option(
            "--nondeterministic",
            help="Let a GPU take the fastest methods: a run may differ each time by rounding.",
        ),
    ],
    "on_run_end": Annotated[
        str | None,
        typer.Option(
            help="Function to call after each run is stored: module:function or file.py:function."
        ),
    ],
    "profile": Annotated[
        bool, typer.Option("--profile", help="Report at the end where the workers' time went.")
    ],
}
"""The options of workers, by their names in ``WorkerSettings``, which has their defaults."""


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options ``SETTINGS`` in place of its parameter ``settings``."""
    defaults = {item.name: item.default for item in fields(WorkerSettings)}
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=option)
        for name, option in SETTINGS.items()
    ]

    @wraps(command)
    def with_options(**given: Any) -> None:
        settings = WorkerSettings(**{name: given.pop(name) for name in SETTINGS})
        command(**given, settings=settings)

    own = list(signature(command).parameters.values())
    at = [item.name for item in own].index("settings")
    own[at : at + 1] = options
    with_options.__signature__ = Signature(own)  # type: ignore[attr-defined]
    return with_options


def use_root(root: Path | None) -> None:
    """Where this process and its workers look for data: never part of a trial."""
    if root is not None and os.pathsep not in str(root):  # several come from the environment
        os.environ["OODBENCH_DATA"] = str(root.absolute())


def indices(option: str, text: str | None) -> list[int] | None:
    """The numbers in a text such as ``0,2``."""
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise RequestError(f"{option} needs numbers such as 0,2, but got {text!r}.") from None


def pairs_of(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """The pairs in texts such as ``a=b``, as a dictionary."""
    found: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise RequestError(f"{option} needs NAME=VALUE, but got {text!r}.")
        if key in found:
            raise RequestError(f"{option} {key} is given twice: {found[key]!r} and {value!r}.")
        found[key] = value
    return found


def exit_if_failed(failed: int, db: str | Path) -> None:
    """Say how many runs failed, if any did, and end with exit code 1."""
    if failed:
        from oodbench.results import describe_target

        print(
            f"oodbench: {failed} runs failed; to see why: "
            f"oodbench query --db {describe_target(db)} --where \"status = 'failed'\"",
            file=sys.stderr,
        )
        raise typer.Exit(1)

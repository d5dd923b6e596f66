"""import domainbed, csv, wandb, mlflow, timm, open-clip."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.next_steps import look_at
from oodbench.cli.options import Db, pairs_of

if TYPE_CHECKING:
    from oodbench.results import ImportedRuns

app = typer.Typer(
    no_args_is_help=True,
    help="Bring results that you already have into a database. Twice adds nothing.\n\n"
    "Example: oodbench import csv models.csv --db runs.db --map id=val --map ood=test",
)

Name = Annotated[
    str | None, typer.Option("--name", help="Name of the sweep. [default: the source's]")
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="FIELD=COLUMN: id, id_val, ood, dataset, optimizer, algorithm, model, seed, "
        "hparams.lr, n_ood, status, ...; hparams=COLUMN of objects; repeatable.",
    ),
]
Constants = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="FIELD=VALUE for every row, such as dataset=CIFAR; also shift=correlation, "
        "chance=0.1, sampler=random; repeatable.",
    ),
]
Percent = Annotated[bool, typer.Option("--percent", help="All accuracies are in percent.")]
PercentOf = Annotated[
    list[str] | None,
    typer.Option("--percent-of", help="A field that is in percent, such as id; repeatable."),
]
IdSet = Annotated[str, typer.Option("--id", help="The test set in distribution.")]
OodSets = Annotated[
    list[str], typer.Option("--ood", help="A test set out of distribution; repeatable.")
]
Facts = Annotated[
    list[str] | None,
    typer.Option("--set", help="A fact of the datasets: shift=diversity, ...; repeatable."),
]

SHOWN = 20
"""How many things that were skipped are printed one by one."""


def tell(done: "ImportedRuns", db: str) -> None:
    """Say what was imported, and what was not."""
    from oodbench.cli.printing import plain

    statuses = ", ".join(f"{n:,} {status}" for status, n in done.statuses.items())
    print(f"{done.new:,} runs added, {done.known:,} there already, to the sweep {done.sweep}")
    print(f"in all: {statuses}")
    for line in done.notes:
        print(plain(f"note: {line}"))
    for line in done.skipped[:SHOWN]:
        print(plain(f"skipped: {line}"))
    if len(done.skipped) > SHOWN:
        print(f"skipped: and {len(done.skipped) - SHOWN:,} more")
    print(look_at(db))


@app.command()
def domainbed(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A sweep's --output_dir.")],
    db: Db,
    name: Name = None,
    unfinished: Annotated[
        str,
        typer.Option(help="Runs that stop before their last step: skip, or keep (as failed runs)."),
    ] = "skip",
    facts: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="What DomainBed does not log: shift=diversity, chance=0.2, num_classes=5; "
            "repeatable.",
        ),
    ] = None,
) -> None:
    """Import a DomainBed sweep's runs, with all their checkpoints.

    A log that reaches its last step is complete, with the file done or without. Torn and foreign
    files are named and skipped.

    Example: oodbench import domainbed domainbed_sweeps/vlcs_erm --db vlcs.db --set shift=diversity
    """
    given = pairs_of("--set", facts)
    tell(api.import_domainbed(folder, db, name=name, unfinished=unfinished, **given), db)


@app.command("csv")
def table(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A header, and a row a model.")],
    db: Db,
    columns: Map = None,
    constants: Constants = None,
    percent: Percent = False,
    percent_of: PercentOf = None,
    separator: Annotated[
        str | None, typer.Option(help="Separator of the cells. [default: auto-detected]")
    ] = None,
    name: Name = None,
) -> None:
    """Import a table of models with ID and OOD accuracies.

    Rows that are no model are named and skipped.

    Example: oodbench import csv models.csv --db runs.db --map id=val --map ood=test --set dataset=X
    """
    maps = pairs_of("--map", columns), pairs_of("--set", constants)
    done = api.import_csv(
        file, db, *maps, name=name, percent=percent_of or percent, separator=separator
    )
    tell(done, db)


@app.command()
def wandb(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of runs, as CSV.")],
    db: Db,
    columns: Map = None,
    constants: Constants = None,
    percent: Percent = False,
    percent_of: PercentOf = None,
    name: Name = None,
) -> None:
    """Import a table of runs that was exported from Weights & Biases.

    Crashed, failed and killed runs are failed runs; those that have not ended are skipped.

    Example: oodbench import wandb w.csv --db w.db --map id_val=val --map ood=test --set dataset=X
    """
    maps = pairs_of("--map", columns), pairs_of("--set", constants)
    tell(api.import_wandb(file, db, *maps, name=name, percent=percent_of or percent), db)


@app.command()
def mlflow(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table of runs, as CSV.")],
    db: Db,
    columns: Map = None,
    constants: Constants = None,
    percent: Percent = False,
    percent_of: PercentOf = None,
    name: Name = None,
) -> None:
    """Import a table of runs that was exported from MLflow.

    It may come from `mlflow experiments csv`, from MLflow's pages or from `search_runs`.

    Failed and killed runs are failed runs; those that have not ended are skipped.

    Example: oodbench import mlflow m.csv --db m.db --map id_val=metrics.val --map ood=metrics.test
    --set dataset=X
    """
    maps = pairs_of("--map", columns), pairs_of("--set", constants)
    tell(api.import_mlflow(file, db, *maps, name=name, percent=percent_of or percent), db)


@app.command()
def timm(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder results of pytorch-image-models.")
    ],
    db: Db,
    id_set: IdSet,
    ood_sets: OodSets,
    facts: Facts = None,
    name: Name = None,
) -> None:
    """Import timm's published results on any of its test sets.

    Example: oodbench import timm results --db timm.db --id imagenet --ood sketch
    """
    constants = pairs_of("--set", facts)
    tell(api.import_timm(folder, db, id_set, ood_sets, constants, name=name), db)


@app.command("open-clip")
def open_clip(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Such as docs/openclip_results.csv of open_clip.")
    ],
    db: Db,
    id_set: IdSet,
    ood_sets: OodSets,
    facts: Facts = None,
    name: Name = None,
) -> None:
    """Import open_clip's published results on any test set.

    Example: oodbench import open-clip openclip_results.csv --db c.db --id "ImageNet 1k"
    --ood "ImageNet v2" --ood ObjectNet
    """
    constants = pairs_of("--set", facts)
    tell(api.import_open_clip(file, db, id_set, ood_sets, constants, name=name), db)

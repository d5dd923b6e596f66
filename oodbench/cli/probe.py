"""The commands probe rsi-eb and probe sharpness."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Db, Device, Sweep, Where

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    no_args_is_help=True,
    help="Train stored runs again; store what is measured on the way.\n\n"
    "Example: oodbench probe sharpness --db digits.db --select id_val",
)
Select = Annotated[
    str | None, typer.Option("--select", help="Only the selected runs: id_val or oracle.")
]


def tell(kind: str, db: str, where: str | None, select: str | None, **options: Any) -> None:
    """Probe, and print a line a run."""
    from oodbench.cli.printing import show

    found: pd.DataFrame = api.probe(kind, db, where, select=select, **options)
    show(found)
    worst = found["difference"].max()
    if worst > 0:
        print(f"trained again, some accuracy differs by {worst:.3g}: other versions or another CPU")


@app.command("rsi-eb")
def rsi_eb(
    db: Db,
    where: Where = None,
    select: Select = None,
    name: Sweep = None,
    every: Annotated[int, typer.Option(min=1, help="Store every so many steps.")] = 1,
    full_every: Annotated[
        int,
        typer.Option(
            min=0,
            help="Every so many steps, the gradient over the whole training set too; 0: never.",
        ),
    ] = 0,
    end: Annotated[
        str,
        typer.Option(
            help="Where the paths are to lead: own, their end points; seed, where the same "
            "configuration ends on another training seed; or a run, by its id."
        ),
    ] = "own",
    null: Annotated[
        bool,
        typer.Option(
            "--null/--no-null", help="Also measure what noise would give (own end points)."
        ),
    ] = True,
    device: Device = "auto",
) -> None:
    """Measure RSI, EB and gamma along the path to an end point.

    Example: oodbench probe rsi-eb --db digits.db --select id_val --end seed --full-every 10
    """
    options = {"every": every, "full_every": full_every, "end": end, "null": null}
    tell("rsi-eb", db, where, select, sweep=name, device=device, **options)


@app.command()
def sharpness(
    db: Db,
    where: Where = None,
    select: Select = None,
    name: Sweep = None,
    examples: Annotated[int, typer.Option(help="Examples of each training environment.")] = 512,
    rho: Annotated[float, typer.Option(help="Radius of SAM's sharpness.")] = 0.05,
    device: Device = "auto",
) -> None:
    """Measure Hessian eigenvalue, trace and sharpness at each end.

    Example: oodbench probe sharpness --db digits.db --select id_val
    """
    tell("sharpness", db, where, select, sweep=name, examples=examples, rho=rho, device=device)

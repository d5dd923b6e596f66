"""probe: rsi-eb, sharpness."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench.cli.options import Db, Device, Sweep, Where

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    no_args_is_help=True,
    help="Train stored runs again and measure something on the way; it is stored with them.",
)
Select = Annotated[
    str | None, typer.Option("--select", help="Only the selected runs: id_val or oracle.")
]


def tell(kind: str, db: str, where: str | None, select: str | None, **options: Any) -> None:
    """Probe, and print a line a run."""
    from oodbench import api
    from oodbench.cli.tables import show

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
    every: Annotated[int, typer.Option("--every", help="Store every so many steps.")] = 1,
    null: Annotated[
        bool, typer.Option("--null/--no-null", help="Also measure what noise would give.")
    ] = True,
    device: Device = "auto",
) -> None:
    """RSI, EB and gamma along the path of each run towards its own end point.

    Example: oodbench probe rsi-eb --db digits.db --select id_val
    """
    tell("rsi-eb", db, where, select, sweep=name, every=every, null=null, device=device)


@app.command()
def sharpness(
    db: Db,
    where: Where = None,
    select: Select = None,
    name: Sweep = None,
    examples: Annotated[
        int, typer.Option("--examples", help="Of each training environment.")
    ] = 512,
    rho: Annotated[float, typer.Option("--rho", help="Radius of SAM's sharpness.")] = 0.05,
    device: Device = "auto",
) -> None:
    """Largest Hessian eigenvalue, trace and SAM's sharpness at the end of each run.

    Example: oodbench probe sharpness --db digits.db --select id_val
    """
    tell("sharpness", db, where, select, sweep=name, examples=examples, rho=rho, device=device)

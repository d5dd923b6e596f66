"""plot: a sub-command for each figure of ``analysis``."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from oodbench.cli.options import Checkpoint, Db, Sweep, Where
from oodbench.verbs.figure_options import Option, figure, figure_names

Output = Annotated[Path, typer.Option("--output", "-o", help="A .png, .pdf or .svg file.")]

NAMES = {"rule": "select", "runs": "run"}
"""Options that are called otherwise than the figure's parameter, as in other commands."""


class Figures(TyperGroup):
    """The figures; each becomes a command when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the figures."""
        return list(figure_names())

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command that draws the figure of this name.

        Raises:
            UnknownNameError: There is none.
        """
        return command(name)


app = typer.Typer(
    cls=Figures,
    no_args_is_help=True,
    help="Draw a figure of the runs, with their numbers and states.\n\n"
    "Example: oodbench plot scatter --db digits.db -o scatter.png --where \"algorithm = 'erm'\"",
)


def command(kind: str) -> Any:
    """The command that draws one figure."""
    found = figure(kind)

    def draw(
        db: Db,
        output: Output,
        where: Where = None,
        sweep: Sweep = None,
        checkpoint: Checkpoint = "last",
        **own: Any,
    ) -> None:
        from oodbench import api

        own = {name: value for name, value in own.items() if value not in (None, [])}
        own |= {"sweep": sweep, "checkpoint": checkpoint}
        print(f"wrote {api.plot(kind, db, output, where, **own)}")

    *common, _ = inspect.signature(draw).parameters.values()
    mine = [parameter(name, option) for name, option in found.options.items()]
    draw.__signature__ = inspect.Signature([*common, *mine])  # type: ignore[attr-defined]
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    example = f"Example: oodbench plot {kind} --db digits.db -o {kind}.png"
    alone.command(kind, help=f"{found.about}\n\n{example}")(draw)
    return typer.main.get_command(alone)


def parameter(name: str, option: Option) -> inspect.Parameter:
    """An option of a figure as typer takes it."""
    flag = NAMES.get(name, name).replace("_", "-")
    given = typer.Option(f"--{flag}/--no-{flag}" if option.default is True else f"--{flag}")
    given.help = option.about
    several = option.kind is list[str]
    kind = option.kind if option.default is not None and not several else option.kind | None
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if several else option.default,
        annotation=Annotated[kind, given],
    )

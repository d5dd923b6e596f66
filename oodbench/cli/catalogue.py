"""datasets, optimizers, algorithms, models: what there is to choose from."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Root, pairs_of, use_root
from oodbench.errors import RequestError

if TYPE_CHECKING:
    from oodbench.data import DatasetSpec

COLUMNS = {
    "datasets": ["name", "shift", "classes", "environments"],
    "algorithms": ["name", "space", "options", "reference"],
    "optimizers": ["name", "kind", "space"],
    "models": ["name", "options", "summary"],
}


Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Show all of this one.")]


def tell(kind: str, name: str | None) -> None:
    """List the things of one kind, or describe one of them."""
    from oodbench.cli.printing import show, show_one

    table = api.catalogue(kind, name)
    if name is None:
        show(table[COLUMNS[kind]])
    elif len(table) > 1:  # names with this part in them
        show(table[["name", "summary"]])
    else:
        show_one(table.iloc[0])


def datasets(
    name: Name = None,
    check: Annotated[
        bool, typer.Option("--check", help="Verify the files that it needs, or that all need.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --check: an option of it, such as file=mails.csv."),
    ] = None,
    root: Root = None,
) -> None:
    """List the datasets, or describe one.

    Example: oodbench datasets ColoredMNIST --check --root data
    """
    from oodbench.data import DATASETS

    use_root(root)
    given = pairs_of("--set", changes)
    if given and not (name and check):
        raise RequestError("--set goes with --check and the name of a dataset.")
    options = _typed(DATASETS.get(name), given) if name else {}
    if check:
        for spec in [DATASETS.get(name)] if name else DATASETS:
            print(f"{spec.name}: {verified(spec, options, name is not None)}")
        return
    tell("datasets", name)
    if name is None and (absent := DATASETS.not_supported()):
        print(f"Not supported: {', '.join(absent)}; oodbench datasets NAME says why.")


def _typed(spec: "DatasetSpec", given: Mapping[str, str]) -> dict[str, Any]:
    """Options as a sweep file would have them; what is text by default stays as it was typed."""
    from oodbench.sweep.files import parse_yaml

    return {
        key: text if isinstance(spec.options.get(key, ""), str) else parse_yaml(text, key)
        for key, text in given.items()
    }


def verified(spec: "DatasetSpec", options: Mapping[str, Any], asked: bool) -> str:
    """What was found of a dataset's files; if it was ``asked`` for by name, they must be here.

    Raises:
        RequestError: If they are not, or something is wrong with them.
    """
    if options and spec.verify is None:
        raise RequestError(
            f"{spec.name} has no option that says anything of files; leave --set out."
        )
    named = "folder" if "folder" in spec.options else "file"
    if spec.verify is not None and (options or (asked and spec.options.get(named))):
        spec.check_options(options)
        right = f"{spec.verify(options)} is complete and right"
        return "\n".join([right, *(spec.summarize(options) if spec.summarize else ())])
    if spec.verify is not None and spec.source is None:
        if asked:
            raise RequestError(
                f"--check of {spec.name} needs to know which {named}: add --set {named}=NAME, "
                "under the folder that --root names."
            )
        return f"a sweep file names its {named}; --set {named}=NAME checks one"
    if spec.source is None:
        return "needs no files: it comes with an installed package"
    if not asked and not spec.source.is_here():
        return "its files are not on this machine"
    root = spec.source.find()
    spec.source.check(root)
    return f"the files in {root / spec.source.folder} are complete and right"


def listing(kind: str) -> Callable[..., None]:
    """The command that lists things of one kind, or describes one of them."""

    def command(name: Name = None) -> None:
        tell(kind, name)

    command.__name__ = kind
    more = " Part of a name lists all models that contain it." if kind == "models" else ""
    command.__doc__ = f"List the {kind}, or describe one.{more}\n\nExample: oodbench {kind}"
    return command


COMMANDS = [datasets, *(listing(kind) for kind in COLUMNS if kind != "datasets")]

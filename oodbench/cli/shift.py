"""shift: what kind of shift lies between a dataset's environments."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench import api
from oodbench.cli.options import Device, EscapeFormulas, Root, indices, pairs_of, use_root

if TYPE_CHECKING:
    import pandas as pd

Tested = Annotated[
    str | None,
    typer.Option(help="Indices on the test side, such as 2 or 0,1. [default: each in turn]"),
]
Trials = Annotated[int, typer.Option(help="Classifiers to train.")]
FirstSeed = Annotated[int, typer.Option(help="Seed of the first trial.")]
Examples = Annotated[
    int, typer.Option(help="Maximum examples per side, to train and to measure on.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="An option of the dataset, such as folder=my_images."),
]
Store = Annotated[
    str | None,
    typer.Option(
        help="Database whose studies on this dataset then state the class, where they do not know "
        "it.",
    ),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print every column, as CSV.")]


def shift(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name of the dataset.")],
    test_environments: Tested = None,
    trials: Trials = 5,
    seed: FirstSeed = 0,
    examples: Examples = 5_000,
    device: Device = "auto",
    changes: Changes = None,
    store: Store = None,
    csv: Csv = False,
    escape_formulas: EscapeFormulas = True,
    root: Root = None,
) -> None:
    """Measure a dataset's diversity shift and correlation shift.

    Example: oodbench shift ColoredDigits --test-environments 2
    """
    use_root(root)
    table = api.shift(
        dataset,
        indices("--test-environments", test_environments),
        trials=trials,
        seed=seed,
        examples=examples,
        options=options_of(changes),
        device=device,
        store=store,
    )
    if csv:
        from oodbench.results.spreadsheets import write_csv

        write_csv(table, sys.stdout, escape_formulas)
    else:
        tell(table)


def options_of(changes: list[str] | None) -> dict[str, Any] | None:
    """What ``--set`` says of a dataset; None if it says nothing."""
    from oodbench.sweep.files import parse_yaml

    given = pairs_of("--set", changes)
    return {key: parse_yaml(text, key) for key, text in given.items()} or None


def tell(table: "pd.DataFrame") -> None:
    """Print the measured shifts, and what the numbers are."""
    from oodbench.cli.printing import show

    cells = table[["test_environments", "variant"]].copy()
    for name, end in (("diversity", ""), ("correlation", "_")):  # two columns may share a heading
        cells[name] = [
            f"{mean:.3f}" + ("" if std != std else f" ± {std:.3f}")
            for mean, std in zip(table[name], table[f"{name}_std"], strict=True)
        ]
        cells[f"iid{end}"] = [f"{value:.3f}" for value in table[f"{name}_iid"]]
        cells[f"counted{end}"] = [f"{share:.0%}" for share in table[f"{name}_share"]]
    show(cells)
    first = table.iloc[0]
    print(
        f"\n{first['dataset']}: mean ± standard deviation over {first['trials']} trials. iid: the "
        "same where there is\nno shift, from re-split examples. counted: the share of the points "
        "where the densities\nwere compared that counted.\n"
    )
    for choice, rows in table.groupby("test_environments", sort=False):
        row = rows.iloc[0]
        few = f"; too few examples of the classes {row['skipped']}" if row["skipped"] else ""
        print(
            f"test environments {choice}: {row['shift']}, n = {row['n']} examples a side{few}"
            f"{stored(row)}"
        )


def stored(row: "pd.Series[Any]") -> str:
    """What came of ``--store``; nothing if it was not asked for."""
    if "stored" not in row:
        return ""
    kept = f"; kept what is declared or published: {row['kept']}" if row["kept"] else ""
    return f"; stored in {row['stored']} studies{kept}"

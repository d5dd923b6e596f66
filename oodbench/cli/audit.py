"""audit: can a dataset answer which models generalise?"""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Device, Root, Seed, indices, use_root
from oodbench.cli.shift import Changes, Tested, options_of
from oodbench.errors import check_name

FORMATS = ("text", "json")
WIDEST = 100


def audit(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Name of the dataset.")],
    test_environments: Tested = None,
    models: Annotated[
        int, typer.Option(help="Models to train per choice of test environments.")
    ] = 50,
    model: Annotated[
        str | None,
        typer.Option(help="Backbone for features, or a small network. [default: by the dataset]"),
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Difference of two accuracies that matters, a fraction.")
    ] = 0.01,
    shift_trials: Annotated[
        int, typer.Option(help="Classifiers to measure the shift with; 0: it is not measured.")
    ] = 1,
    changes: Changes = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the page, the figure, the JSON, targets."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    seed: Seed = 0,
    data_seed: Annotated[int, typer.Option(help="Seed of the dataset's splits.")] = 0,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Train 50 small models to test what a dataset can answer.

    Is accuracy on the line? Which part of the examples inverts it? Can OOD accuracy be estimated
    without labels? What shift is it, how hard, and is the test set large enough?

    Example: oodbench audit RotatedDigits --test-environments 0 -o audit/
    """
    check_name("format", format_, FORMATS)
    use_root(root)
    found = api.audit(
        dataset,
        indices("--test-environments", test_environments),
        models=models,
        model=model,
        margin=margin,
        options=options_of(changes),
        shift_trials=shift_trials,
        seed=seed,
        data_seed=data_seed,
        device=device,
        output=output,
        on_step=lambda what: print(what, file=sys.stderr, flush=True),
    )
    if format_ == "json":
        print(json.dumps([one.to_json() for one in found], indent=1, allow_nan=False))
        return
    from oodbench.analysis import audit_text
    from oodbench.cli.printing import plain

    print(plain(audit_text(found, min(WIDEST, shutil.get_terminal_size().columns))))
    if output is not None:
        print(f"wrote audit.html, audit.png and audit.json to {output}", file=sys.stderr)

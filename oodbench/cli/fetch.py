"""fetch: the files that some datasets need, and the weights that models begin with."""

from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.errors import RequestError

MODEL = "model"


def fetch(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Such as MNIST, or ColoredMNIST that needs it; or the word model.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="After model: a model, such as resnet50 or timm.resnet50.ram_in1k; or a text "
            "encoder as Hugging Face's hub names it, such as distilbert-base-uncased.",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Data folder; created if missing. Of a model: a folder that OODBENCH_WEIGHTS "
            "names; the default is where torch and the hub keep what they download.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Download and verify a dataset's files or a model's weights.

    What is there and right is kept. Training downloads nothing.

    Example: oodbench fetch MNIST --root data

    Example: oodbench fetch model timm.resnet50.ram_in1k
    """
    if what == MODEL:
        if model is None:
            raise RequestError("Name the model: oodbench fetch model timm.resnet50.ram_in1k.")
        print(f"sha256 {api.fetch_model(model, root)}")
        if root is not None:
            print(f"{model} is in {root}; use it: export OODBENCH_WEIGHTS={root}")
        return
    if model is not None:
        raise RequestError(f"Only a model has a second name: oodbench fetch model {model}.")
    if root is None:
        raise RequestError(f"Name the data folder: oodbench fetch {what} --root data.")
    print(f"{what} is in {api.fetch(what, root)}; use it: export OODBENCH_DATA={root}")

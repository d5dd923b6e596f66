"""All that is known of one run."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from oodbench.machine import numpy_blas, processor
from oodbench.results import RunDetails, open_database, run_details


def show(db: str | Path, run: str) -> RunDetails:
    """All that is known of one run, by its id or enough of its beginning."""
    with open_database(db, read_only=True) as database:
        return run_details(database, run)


def different_here(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The provenance that would differ on this machine, as far as it is known without torch.

    Args:
        provenance: Provenance of a run.

    Returns:
        Name -> its value here; ``reproduce`` compares the rest.
    """
    here = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "oodbench")},
        "processor": processor(),
        "numpy_blas": numpy_blas(),
    }
    # A version may name its build, such as 2.9.0+cu130, which is not installed under that name.
    stored = {name: str(value).partition("+")[0] for name, value in provenance.items()}
    return {
        name: value
        for name, value in here.items()
        if name in stored and stored[name] != value.partition("+")[0]
    }

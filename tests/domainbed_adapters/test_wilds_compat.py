"""wilds works here, leaves nothing behind, and is not imported unless one of its datasets is."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from wilds_fixtures import MAKERS, make

from domainbed_adapters.wilds_compat import Copied, OldPandas, compatible, load, scatter

WILDS = {
    **{"Camelyon17": "camelyon17", "iWildCam": "iwildcam", "FMoW": "fmow", "RxRx1": "rxrx1"},
    **{"Waterbirds": "waterbirds", "CelebA": "celebA", "WILDSDomainNet": "domainnet"},
    **{"Amazon": "amazon", "CivilComments": "civilcomments"},
}


def python(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    return run.stdout


def test_importing_oodbench_and_listing_its_datasets_never_imports_wilds() -> None:
    code = (
        "import sys, oodbench, oodbench.cli, oodbench.workers.worker, oodbench.data;"
        "oodbench.data.DATASETS.names();"
        "import domainbed_adapters.wilds_compat;"
        "print([m for m in ('wilds', 'outdated', 'torch_scatter') if m in sys.modules])"
    )
    assert python(code).strip() == "[]"


def test_the_version_check_is_never_started(tmp_path: Path) -> None:
    """It would be a thread without end where a proxy accepts and never answers."""
    make(tmp_path, "Waterbirds")
    code = (
        "import sys, os, threading, pathlib\n"
        "os.environ.pop('OUTDATED_IGNORE', None)  # wilds sets it, which another test may import\n"
        "from domainbed_adapters.wilds_compat import load\n"
        f"load('waterbirds', pathlib.Path({str(tmp_path)!r}))\n"
        "import wilds.version\n"
        "print(wilds.version.check_outdated, threading.active_count(), 'OUTDATED_IGNORE' in "
        "os.environ, [m for m in ('outdated', 'torch_scatter') if m in sys.modules])"
    )
    assert python(code).strip() == "None 1 False []"


@pytest.mark.parametrize("name", MAKERS)
def test_every_dataset_loads_and_evaluates_and_nothing_stays_changed(
    name: str, tmp_path: Path
) -> None:
    import PIL.Image

    make(tmp_path, name)
    limit, threads = PIL.Image.MAX_IMAGE_PIXELS, threading.active_count()
    found = load(WILDS[name], tmp_path)
    assert len(found) == len(found.y_array) > 0
    with compatible(WILDS[name]) as module:
        results, _ = found.eval(found.y_array, found.y_array, found.metadata_array)
        assert type(getattr(module, "pd", None)) in (OldPandas, type(None))
    assert all(value in (0, 1) for key, value in results.items() if "acc" in key or "F1" in key)
    assert getattr(module, "pd", pd) is pd
    assert "torch_scatter" not in sys.modules
    assert sys.modules.get("outdated", "absent") is not None
    assert limit == PIL.Image.MAX_IMAGE_PIXELS
    assert threading.active_count() == threads


def test_scatter_is_torch_scatters() -> None:
    """By hand: sums and means by index, and zero where nothing is."""
    src, index = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2])
    assert scatter(src, index, dim_size=4).tolist() == [2, 0, 5, 0]
    assert scatter(src, index, dim_size=4, reduce="mean").tolist() == [2, 0, 2.5, 0]
    with pytest.raises(NotImplementedError, match="vectors"):
        scatter(src[None], index[None], dim_size=4)


def test_pandas_is_as_it_was() -> None:
    old = OldPandas(pd)
    dates = old.to_datetime(pd.Series(["2016-01-01T00:00:00Z", "2016-01-01T00:00:00.643Z"]))
    assert dates.dt.microsecond.tolist() == [0, 643_000]
    assert old.DataFrame is pd.DataFrame


def test_a_copied_attribute_may_be_written_to() -> None:
    class Thing:
        values = Copied()

    thing, given = Thing(), np.zeros(2)
    given.setflags(write=False)
    thing.values = given
    thing.values[0] = 1
    assert thing.values.tolist() == [1, 0]
    assert given.tolist() == [0, 0]


def test_a_folder_without_its_release_file_can_be_read(tmp_path: Path) -> None:
    (make(tmp_path, "CelebA") / "celebA_v1.0" / "RELEASE_v1.0.txt").unlink()
    with pytest.raises(FileNotFoundError, match="could not be found"):
        load("celebA", tmp_path)
    assert len(load("celebA", tmp_path, released=False)) == 108

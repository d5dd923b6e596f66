"""cache list, build and drop, on a folder of small images."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oodbench import api
from oodbench.cli import app
from oodbench.errors import RequestError
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for e, environment in enumerate(("day", "night")):
        for k, kind in enumerate(("cat", "dog")):
            folder = tmp_path / "data" / "mine" / environment / kind
            folder.mkdir(parents=True)
            for i in range(5):
                Image.fromarray(np.full((9, 9, 3), 10 * e + 5 * k + i, np.uint8)).save(
                    folder / f"{i}.png"
                )
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["cache", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_build_list_drop(cli, tmp_path: Path) -> None:
    assert "nothing to show" in cli("list")
    told = cli("build", "ImageFolders", "--folder", "mine", "--size", "16")
    assert "20 examples of shape (3, 16, 16)" in told
    listing = cli("list")
    assert "ImageFolders-16px-" in listing
    assert f"GiB in {tmp_path / 'cache'}" in listing.replace("\n", "")
    with pytest.raises(RequestError, match="begins with 'PACS'"):
        cli("drop", "PACS")
    for wrong in ((), ("Image", "--all")):
        with pytest.raises(RequestError, match="one of the two"):
            cli("drop", *wrong)
    size = 20 * 3 * 16 * 16 + 128  # an .npy file has a header of 128 bytes
    assert cli("drop", "ImageFolders-16px") == f"dropped 1 files, {size / 2**20:.1f} MiB\n"
    cli("drop", "--all")
    assert "nothing to show" in cli("list")


@pytest.mark.parametrize("corrupt", ["fail", "skip"])
@pytest.mark.parametrize("kept", ["decoded", "encoded"])
def test_a_dry_run_decodes_nothing_and_knows_the_trials(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corrupt: str, kept: str
) -> None:
    monkeypatch.setenv("OODBENCH_IMAGES", kept)
    if corrupt == "skip":
        (tmp_path / "data" / "mine" / "day" / "cat" / "0.png").write_bytes(b"no image")
    sweep = {
        "name": "mine",
        "datasets": [
            {
                **{"name": "ImageFolders", "folder": "mine", "size": 16, "corrupt": corrupt},
                "test_environments": [0],
            }
        ],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": {"name": "mlp", "width": 4, "depth": 1},
        "search": {"trials": 2},
        "train": {"steps": 2, "batch": {"size": 4}},
    }
    db = tmp_path / "runs.db"
    assert api.preview(sweep, db).new_runs == 2
    assert not (tmp_path / "cache").exists()
    with open_database(db, create=True) as database:
        add_sweep(database, "mine", {}, plan(sweep).studies)
    assert (tmp_path / "cache").exists()
    shutil.rmtree(tmp_path / "cache")
    assert api.preview(sweep, db).known_runs == 2  # by the content of the files
    assert not (tmp_path / "cache").exists()

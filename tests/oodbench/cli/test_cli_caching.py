"""cache list, build and drop, on a folder of small images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oodbench.cli import app
from oodbench.errors import RequestError


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for environment in ("day", "night"):
        for kind in ("cat", "dog"):
            folder = tmp_path / "data" / "mine" / environment / kind
            folder.mkdir(parents=True)
            for i in range(5):
                Image.fromarray(np.full((9, 9, 3), i, np.uint8)).save(folder / f"{i}.png")
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

"""Fixtures that the tests of several packages share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from postgres_server import MISSING, Server, find_programs

from oodbench.data import DATASETS, Dataset
from oodbench.results import open_database
from oodbench.training import Tensors, load
from oodbench.training.fast.processor import prepare_for_cpu

CHROMIUM = os.environ.get("OODBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader"]  # for root, and WebGL without a GPU

prepare_for_cpu()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is measured and computed in the tests is remembered among them alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OODBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def no_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device ``auto`` is the CPU where there is a GPU, too, but in tests that are for it."""
    marks = (request.node.get_closest_marker(name) for name in ("gpu", "slurm", "ray"))
    if not any(marks) and torch.cuda.is_available():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(scope="session")
def colored_digits() -> Dataset:
    return DATASETS.get("ColoredDigits").load({}, 0)


@pytest.fixture(scope="session")
def rotated_digits() -> Dataset:
    return DATASETS.get("RotatedDigits").load({}, 0)


@pytest.fixture(scope="session")
def colored32(colored_digits: Dataset) -> Tensors:
    return load(colored_digits, (2,), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def colored64(colored_digits: Dataset) -> Tensors:
    return load(colored_digits, (2,), torch.device("cpu"), torch.float64)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server for the whole session."""
    programs = find_programs()
    if programs is None:
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="oodbench-"))  # pytest's own is closed to other users
    folder.chmod(0o755)
    server = Server(programs, folder / "postgresql")
    try:
        open_database(server.create("prepared"), create=True).close()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def vlcs() -> Path:
    """DomainBed's 40 runs of ERM on VLCS; beside them what its collect_results prints."""
    path = Path(os.environ.get("OODBENCH_TEST_DATA", "nowhere")) / "domainbed_sweeps" / "vlcs_erm"
    if not path.is_dir():
        pytest.skip("needs OODBENCH_TEST_DATA to name a folder that has domainbed_sweeps/vlcs_erm")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: apt install chromium, or set OODBENCH_CHROMIUM")
    with playwright.sync_playwright() as library:
        opened = library.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()

"""The report of a table of runs, opened in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_helpers import make_checkpoints, make_runs

from analysis import report_html
from analysis.report.page import Source


@pytest.fixture(scope="session")
def runs() -> pd.DataFrame:
    return make_runs()


@pytest.fixture(scope="session")
def checkpoints(runs: pd.DataFrame) -> pd.DataFrame:
    return make_checkpoints(runs)


@pytest.fixture(scope="session")
def report(
    runs: pd.DataFrame, checkpoints: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The report of these runs."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(runs, checkpoints), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def extended(
    runs: pd.DataFrame, checkpoints: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The report of these runs with all that a database knows besides."""
    names = {"Colored": ("+90%", "+80%", "-90%"), "Rotated": ("0°", "15°", "30°")}
    probes = pd.DataFrame({"run": runs["run"], "step": 300, "sharpness_trace": runs["lr"] * 7})
    on_environments = pd.DataFrame({"run": runs["run"], "15°": runs["id"], "-90%": runs["ood"]})
    text = report_html(
        runs.assign(seconds=1.0 + runs["seed"] / 9, gradient_evaluations=300),
        checkpoints,
        source=Source({"database": "runs.db"}, environments=names),
        probes=probes,
        environments=on_environments,
    )
    path = tmp_path_factory.mktemp("extended") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file; at the end nothing but it may have been asked for, and no error said."""
    contexts, requests, errors = [], [], []

    def open_file(path: Path, hash: str = "", **options: Any) -> Any:  # noqa: A002
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
        address = f"{path.as_uri()}#{hash}" if hash else path.as_uri()
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        requests.remove(next(url for url in requests if url.startswith(path.as_uri())))
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith("blob:")] == []
    assert errors == []

"""Texts of a database that would be code, or markup, if a page were careless."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_helpers import make_checkpoints, make_runs

from analysis import report_html
from analysis.report.page import Source

SCRIPT = "<script>alert(1)</script>"
NAMES = {
    "sgd": SCRIPT,
    "momentum": '</script><img src=x onerror="alert(2)">',
    "adam": "<b>&amp; {{ 7 * 7 }} ]]> <!--",
}


@pytest.fixture(scope="module")
def hostile() -> pd.DataFrame:
    """Runs whose ids, datasets, optimizers, algorithms and reasons are all of that kind."""
    runs = make_runs()
    runs["optimizer"] = runs["optimizer"].map(NAMES)
    runs["dataset"] = runs["dataset"].map(
        {"Colored": SCRIPT, "Rotated": "<a href=http://x.y>z</a>"}
    )
    runs["algorithm"] = runs["algorithm"].replace("irm", f"irm{SCRIPT}")
    runs["run"] = SCRIPT + runs["run"]
    runs["reason"] = runs["reason"].where(runs["reason"] == "", f"lost {SCRIPT}")
    return runs.rename(columns={"lr": f"lr{SCRIPT}"})


def test_names_of_a_database_do_nothing_but_stand_there(
    hostile: pd.DataFrame, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    path = tmp_path / "hostile.html"
    spec = {"name": SCRIPT, "spec": {"x": SCRIPT}, "created": 0.0, "runs": 1}
    source = Source(facts={"database": SCRIPT}, sweeps=[spec])
    checkpoints = make_checkpoints(hostile)
    text = report_html(hostile, checkpoints, title=SCRIPT, source=source)
    path.write_text(text, encoding="utf-8")
    assert "<script>alert" not in text
    assert "<img" not in re.sub(r"(?s)<script>.*?</script>", "", text)
    page = open_page(path)  # which fails on a dialog, an error or a request
    assert page.text_content("h1") == SCRIPT
    assert page.locator("img, a[href^=http]").count() == 0
    assert page.locator(f"#filter-form label:has-text('{SCRIPT}')").count() >= 2
    titles = page.locator("#scatter .annotation-text").all_text_contents()
    assert any(SCRIPT[:20] in title for title in titles)  # plotly shows it, and does not read it
    for name in ("returns", "budget"):
        page.locator(f"#{name}-chart").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}-chart .plot-container")
    page.evaluate("Run.show(3); Run.point(3, {clientX: 5, clientY: 5})")
    assert SCRIPT in page.text_content("#run h3")
    assert SCRIPT in page.text_content("#tip")
    assert page.locator("script").count() == text.count("<script>") + 1


def test_the_csv_has_nothing_that_a_spreadsheet_runs(
    tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    runs = make_runs().rename(columns={"lr": "=lr"})
    runs["dataset"] = runs["dataset"].replace("Colored", "=1+1").replace("Rotated", "'@x")
    (tmp_path / "report.html").write_text(report_html(runs), encoding="utf-8")
    page = open_page(tmp_path / "report.html")
    text = page.evaluate("Csv.text([...Array(Store.n).keys()])")
    table = pd.read_csv(io.StringIO(text), dtype=str)
    assert set(table["dataset"]) == {"'=1+1", "''@x"}
    assert set(table["'=lr"].dropna().astype(float)) == set(runs["=lr"].dropna())


def test_what_the_policy_forbids_does_not_run(report: Path, browser: Any) -> None:
    """Were a text to get in as code all the same: neither runs it, nor may it send anything."""
    page = browser.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append("ran"), dialog.dismiss()))
    page.on("response", lambda response: said.append(response.url))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    said.clear()
    page.evaluate(
        """() => { window.refused = [];
        addEventListener('securitypolicyviolation', (e) => refused.push(e.violatedDirective));
        const script = document.createElement('script');
        script.textContent = "alert(1)"; document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="alert(2)">');
        const away = document.createElement('img');
        away.src = 'http://127.0.0.1:9/x.png'; document.body.append(away); }"""
    )
    page.wait_for_function("refused.length >= 3")
    refused = page.evaluate("refused")
    page.close()
    assert {"script-src-elem", "img-src"} <= set(refused)
    assert said == []

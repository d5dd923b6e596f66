"""The page as text: what it says, where it cannot say something, what it holds."""

import base64
import hashlib
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from report_helpers import make_checkpoints, make_runs

from analysis import report_html
from analysis.report.cells import by_panel
from analysis.report.charts import optimizer_looks, sides
from analysis.report.packing import TOP, column, pack_curves, script_json
from analysis.report.page import Source
from analysis.runs.columns import hyperparameters_of
from analysis.runs.environments import side_name
from oodbench.errors import RequestError, UnknownNameError


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return make_runs(8)


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_every_rule_is_named_and_every_script_is_allowed(small: pd.DataFrame) -> None:
    page = report_html(small)
    assert page.count("id_val") > 8
    assert "oracle" not in page.split("<script")[0]
    scripts = re.findall(r"(?s)<script>(.*?)</script>", page)
    assert len(scripts) == 16
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"&#39;sha256-{digest}&#39;" in page
    assert not re.search(r'(src|href)="(?!#)', re.sub(r"(?s)<script>.*?</script>", "", page))


def test_oracle_says_so(small: pd.DataFrame) -> None:
    page = report_html(small.assign(oracle_val=small["ood"]), rule="oracle")
    head = page.split("<script")[0]
    assert "The rule oracle looks at the test environments" in head
    assert "an upper reference, no advice" in head
    assert "It reads the test environments" in head


def test_tables_say_what_analysis_says(small: pd.DataFrame) -> None:
    from analysis import conclude, expected_by_class, optimizer_table, search_health

    page = report_html(small)
    found = conclude(small)
    for said in (*found.claims["evidence"], *found.claims["sentence"]):
        assert said.replace("'", "&#39;") in page
    answers = page.split('<section id="answer">')[1].split("</section>")[0]
    for row in expected_by_class(small).to_dict("records"):
        assert f"{row['ood']:.3f} ({row['ood_low']:.3f} to {row['ood_high']:.3f})" in answers
    for advice in found.recommendations:
        assert advice.answer[1:] in answers
        assert advice.margin in answers
        assert "; ".join(advice.limits)[1:] in answers
    for row in optimizer_table(small).to_dict("records"):
        assert row["run"] in page
        assert f"{row['ood']:.3f} ({row['ood_low']:.3f}\xa0to\xa0{row['ood_high']:.3f})" in page
    searches = page.split('<section id="searches">')[1].split("</section>")[0]
    assert "<details" not in searches
    for row in search_health(small).to_dict("records"):
        assert f'<td class="number">{row["near_best"]:.0%}</td>' in searches
        assert f'<td class="number">{row["effective"]:.1f}</td>' in searches
    assert "9 diverged" in page
    assert "Out of memory." in page


def test_a_range_that_ends_short_is_said_where_an_optimizer_is_recommended() -> None:
    runs = make_runs(60)
    rising = runs["id_val"].sort_values(na_position="first")
    lr = dict(zip(rising.index, np.geomspace(1e-4, 1, len(runs)), strict=True))
    page = report_html(runs.assign(lr=[lr[i] for i in runs.index]))
    advice = page.split('<section id="answer">')[1].split("</section>")[0]
    assert re.search(r"Adam: the best scores rise towards the high end of lr \(\d", advice)


def test_datasets_that_are_not_compared_are_told(small: pd.DataFrame) -> None:
    bare = small.assign(dataset="Bare", id_val=np.nan, run=[f"bare{i}" for i in range(len(small))])
    page = report_html(pd.concat([small, bare], ignore_index=True))
    assert page.count("Optimizers are not compared on Bare, tested on environment") > 1


def test_tables_have_the_names_of_test_environments(small: pd.DataFrame) -> None:
    names = {"Colored": ("+90%", "+80%", "-90%"), "Rotated": ("0°", "15°", "30°")}
    page = report_html(small, source=Source(environments=names))
    text, data = page.split('<script type="application/json" id="data">')
    parts = ("verdicts", "searches", "selected", "returns", "comparisons", "budget", "health")
    for part in parts:
        section = text.split(f'<section id="{part}">')[1].split("</section>")[0]
        shown = " ".join(
            re.findall(r"(?s)<(?:h3|summary|table)\b.*?</(?:h3|summary|table)>", section)
        )
        assert "2 (-90%)" in shown, part
        assert not re.search(r"test environment 2\b(?! \()", shown), part
    runs = json.loads(data.split("</script>")[0])["runs"]["columns"]
    assert runs["test_environments"]["levels"] == list(small["test_environments"].unique())


def test_one_optimizer_is_reported_without_verdicts(small: pd.DataFrame) -> None:
    page = report_html(small[small["optimizer"] == "sgd"])
    assert "optimizer would allow comparisons" in page
    assert "Return type" in page
    assert data_of(page)["budget"]


def test_an_adaptive_search_has_no_budget_curves(small: pd.DataFrame) -> None:
    page = report_html(small.assign(sampler="tpe"))
    assert re.search(r"<p>None: .*adaptive", page)
    assert data_of(page)["returns"]


def test_runs_that_all_failed_are_a_report_too(small: pd.DataFrame) -> None:
    lost = small[small["status"] != "completed"]
    page = report_html(lost)
    assert f"{len(lost)} runs" in page
    assert "Out of memory." in page


def test_origins_and_sweeps_are_shown(small: pd.DataFrame) -> None:
    origins = pd.DataFrame({"run": small["run"], "protocol": "1", "oodbench": "0.1.0"})
    origins = origins.assign(commit="abc", dirty=True, python="3.12", device="cpu")
    sweep = {"name": "mine", "spec": {"search": {"trials": 8}}, "created": 0.0, "runs": 72}
    page = report_html(small, source=Source({"database": "runs.db"}, origins, [sweep]))
    assert "abc with uncommitted changes" in page
    assert "Sweep mine" in page
    assert "1970-01-01" in page
    assert "&#34;trials&#34;: 8" in page
    assert "runs.db" in page


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda runs: runs.iloc[:0], RequestError, "no runs here"),
        (lambda runs: runs.drop(columns="ood"), RequestError, "it lacks ood"),
        (lambda runs: runs, UnknownNameError, "unknown selection rule 'best'"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    small: pd.DataFrame, change: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        report_html(change(small), rule="best")


def test_of_a_rule_whose_score_no_run_has_the_page_says_so_and_shows_the_rest(
    small: pd.DataFrame,
) -> None:
    page = report_html(small.assign(ood_val=np.nan), rule="ood_val")
    assert "Optimizers are not compared: The rule ood_val cannot choose" in page
    assert "Return type" in page


def test_json_in_a_script_ends_no_script() -> None:
    text = script_json({"a": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028"}
    with pytest.raises(ValueError, match="Out of range"):
        script_json(float("nan"))


def test_columns_are_exact() -> None:
    numbers = pd.Series([0.1, np.nan, 1 / 3, 1e-300])
    raw = base64.b64decode(column(numbers)["numbers"])
    np.testing.assert_array_equal(np.frombuffer(raw, "<f8"), numbers)
    texts = column(pd.Series(["b", None, "a", "b"]))
    codes = np.frombuffer(base64.b64decode(texts["codes"]), "<u2")
    assert [texts["levels"][code] for code in codes] == ["b", "", "a", "b"]
    many = column(pd.Series([f"run {i}" for i in range(70_000)]))
    assert len(base64.b64decode(many["codes"])) == 4 * 70_000
    flags = column(pd.Series([True, False]))
    assert flags["levels"] == ["True", "False"]


def test_learning_curves_are_right_to_what_is_seen(small: pd.DataFrame) -> None:
    points = make_checkpoints(small)
    points.loc[5, "ood_test"] = np.nan
    shuffled = small.sample(frac=1, random_state=0).reset_index(drop=True)
    packed = pack_curves(shuffled, points)
    grid = np.frombuffer(base64.b64decode(packed["grid"]), "<u2")
    ood = np.frombuffer(base64.b64decode(packed["ood"]), "<u2").astype(float)
    ood[ood > TOP] = np.nan
    start = 0
    for run, number in zip(shuffled["run"], grid, strict=True):
        mine = points[points["run"] == run]
        steps = packed["grids"][number]
        assert steps == mine["step"].tolist()
        found = ood[start : start + len(steps)] / TOP
        np.testing.assert_allclose(found, mine["ood_test"], atol=0.5 / TOP + 1e-12)
        start += len(steps)
    assert start == len(ood)


def test_hyperparameters_are_what_no_view_has(small: pd.DataFrame) -> None:
    assert hyperparameters_of(small) == ["lr", "momentum", "variant"]
    assert hyperparameters_of(small.assign(unused=np.nan, worst_group_val=0.5)) == [
        "lr",
        "momentum",
        "variant",
    ]


def test_several_panels_of_one_row_make_one_table() -> None:
    runs = pd.DataFrame({"dataset": ["A", "B"], "test_environments": "0", "algorithm": "erm"})
    columns = [("optimizer", lambda row: "Adam")]
    (table,) = by_panel(runs, columns)
    assert table.heads == ("where", "optimizer")
    assert table.rows[1] == ("ERM on B, test environment 0", "Adam")
    assert len(by_panel(pd.concat([runs, runs]), columns)) == 2
    assert by_panel(runs[:1], columns)[0].title == "ERM on A, test environment 0"


def test_environments_are_named_in_the_order_of_their_numbers() -> None:
    runs = make_runs(4)
    runs["test_environments"] = ["10", "9", "2"] * (len(runs) // 3)
    found = sides(runs, {"Rotated": [f"{15 * i}°" for i in range(11)]})
    assert [one["label"] for one in found] == ["2", "9", "10", "2 (30°)", "9 (135°)", "10 (150°)"]
    assert side_name("0,2", ["a", "b", "c"]) == "0 (a), 2 (c)"
    assert side_name("0,2", ["a"]) == "0 (a), 2"


def test_colours_stay_apart_and_stand_out_on_the_dark_page() -> None:
    """CIE76 differences of the six common optimizers, and WCAG's contrast for graphics."""
    names = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
    shown = optimizer_looks(pd.DataFrame({"optimizer": names}))
    dark = np.array([to_rgb(look["dark"]) for look in shown])
    linear = np.where(dark <= 0.04045, dark / 12.92, ((dark + 0.055) / 1.055) ** 2.4)
    page = np.array(to_rgb("#14171b"))
    page = np.where(page <= 0.04045, page / 12.92, ((page + 0.055) / 1.055) ** 2.4)
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert ((linear @ weights + 0.05) / (page @ weights + 0.05) >= 3).all()
    matrix = [[0.4124, 0.3576, 0.1805], weights, [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(linear @ np.transpose(matrix) / [0.9505, 1.0, 1.089]).T
    lab = np.stack([116 * y, 500 * (x - y), 200 * (y - z)], axis=1)
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)[~np.eye(6, dtype=bool)]
    assert apart.min() > 20

"""The report in a real browser: filters, axes, lasso, lines, downloads, runs, keyboard."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import fit_line, optimizer_table, report_html
from analysis.curves.axes import AXES

NAMES = {"SGD": "sgd", "Momentum": "momentum", "Adam": "adam"}
PANELS = {
    "ERM on Colored, test environment 2": ("Colored", "erm"),
    "IRM on Colored, test environment 2": ("Colored", "irm"),
    "ERM on Rotated, test environments 0,1": ("Rotated", "erm"),
}


def drawn(page: Any) -> None:
    """Wait until what was asked for is on the screen."""
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


def lines(page: Any) -> list[dict[str, Any]]:
    """The lines that the browser fits through each optimizer, with all their digits."""
    page.select_option("#line", "optimizer")
    drawn(page)
    found: list[dict[str, Any]] = page.evaluate(
        "Report.facets.flatMap(f => f.lines.map(l => ({panel: f.panel.title, "
        "optimizer: l.look && l.look.label, ...l.fit})))"
    )
    return found


def points(page: Any) -> int:
    """How many points plotly draws."""
    drawn(page)
    return int(
        page.evaluate(
            "document.getElementById('scatter').data.filter(t => t.rows)"
            ".reduce((n, t) => n + t.x.length, 0)"
        )
    )


def download(page: Any) -> pd.DataFrame:
    with page.expect_download() as waiting:
        page.click("#download")
    return pd.read_csv(waiting.value.path(), dtype={"run": str, "test_environments": str})


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["status"] == "completed"]


def until(page: Any, shown: str, act: Callable[[], Any]) -> None:
    """Move the mouse until something is shown: plotly drops what comes while it draws."""
    for moment in range(300):
        if page.is_visible(shown):
            return
        if moment % 30 == 0:
            act()
        page.wait_for_timeout(200)
    pytest.fail(f"{shown} never came up")


def test_every_completed_run_is_a_point(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    assert points(page) == len(completed(runs))
    said = page.text_content("#shown")
    assert f"{len(completed(runs))} points of {len(runs)} runs" in said
    assert "9 diverged, 3 failed" in said


def test_what_was_pooled_or_imported_is_said(
    runs: pd.DataFrame, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    path = tmp_path / "report.html"
    mixed = runs.assign(protocol="imported:domainbed", steps=np.where(runs.index % 2, 900, 1000))
    mixed.loc[mixed["dataset"] == "Rotated", "steps"] = 900
    path.write_text(report_html(mixed), encoding="utf-8")
    page = open_page(path)
    assert f"{len(runs)} were imported from domainbed" in page.text_content("header")
    said = page.text_content("#remarks")
    assert "Of these runs: imported from domainbed; pooled over steps: 900, 1000 (" in said
    assert "900 steps (ERM on Rotated, test environments 0,1)" in said


@pytest.mark.parametrize("axis", AXES)
def test_lines_are_those_of_python(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any], axis: str
) -> None:
    page = open_page(report)
    page.check(f'input[name="axis"][value="{axis}"]')
    found = lines(page)
    assert len(found) == 9
    for line in found:
        dataset, algorithm = PANELS[line["panel"]]
        mine = completed(runs)
        mine = mine[(mine["dataset"] == dataset) & (mine["algorithm"] == algorithm)]
        mine = mine[mine["optimizer"] == NAMES[line["optimizer"]]]
        sizes = {"n_id": mine["n_id"], "n_ood": mine["n_ood"]}
        expected = fit_line(mine["id"], mine["ood"], axis, **sizes)
        assert line["n"] == expected.n == len(mine)
        for name in ("slope", "intercept", "r2"):
            assert line[name] == pytest.approx(getattr(expected, name), abs=1e-6)


def test_axes_show_accuracies_at_their_places(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    page.check('input[name="axis"][value="logit"]')
    drawn(page)
    ticks = page.evaluate("document.getElementById('scatter').layout.xaxis.tickvals")
    names = page.evaluate("document.getElementById('scatter').layout.xaxis.ticktext")
    levels = np.array([float(name) for name in names])
    np.testing.assert_allclose(ticks, np.log(levels / (1 - levels)), atol=1e-12)
    assert "logit axis" in page.evaluate(
        "document.getElementById('scatter').layout.xaxis.title.text"
    )


def test_filters_keep_what_they_say(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    page.uncheck('input[name="optimizer"][value="adam"]')
    page.uncheck('input[name="dataset"][value="Rotated"]')
    page.uncheck('input[name="algorithm"][value="irm"]')
    page.click("text=Hyperparameter ranges")
    page.fill('input[name="lr-least"]', "1e-3")
    page.fill('input[name="lr-most"]', "0.1")
    kept = runs[(runs["optimizer"] != "adam") & (runs["dataset"] != "Rotated")]
    kept = kept[(kept["algorithm"] != "irm") & kept["lr"].between(1e-3, 0.1)]
    assert points(page) == len(completed(kept)) > 5
    assert sorted(download(page)["run"]) == sorted(kept["run"])
    page.uncheck('input[name="variant"][value="code"]')
    assert points(page) == len(completed(kept[kept["variant"] == "paper"]))
    page.click("#reset")
    assert points(page) == len(completed(runs))


def test_a_bound_that_is_no_number_is_shown_and_ignored(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    page.click("text=Hyperparameter ranges")
    page.fill('input[name="lr-least"]', "small")
    assert points(page) == len(completed(runs))
    assert page.get_attribute('input[name="lr-least"]', "aria-invalid") == "true"


def test_nothing_matches_and_says_so(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    for name in NAMES.values():
        page.uncheck(f'input[name="optimizer"][value="{name}"]')
    assert points(page) == 0
    assert "No run with scores matches" in page.text_content("#shown")


def test_the_download_is_the_table(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    """Every digit of every number, and the quotes in the reasons."""
    table = download(open_page(report))
    assert {"id", "ood", "n_id", "lr", "momentum", "variant", "reason"} <= set(table.columns)
    expected = runs[list(table.columns)].astype({"steps": "int64"})
    expected = expected.assign(reason=expected["reason"].replace("", np.nan))
    pd.testing.assert_frame_equal(table, expected, check_exact=True, check_dtype=False)


@pytest.mark.parametrize("kind", ["lasso", "box"])
def test_dragging_selects_refits_and_downloads(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any], kind: str
) -> None:
    page = open_page(report)
    page.check(f'input[name="drag"][value="{kind}"]')
    drawn(page)
    page.locator("#scatter").scroll_into_view_if_needed()
    corners = page.evaluate(
        """() => { const div = document.getElementById("scatter");
        const box = div.getBoundingClientRect();
        const {xaxis: x, yaxis: y} = div._fullLayout;
        const at = (a, b) => [box.left + x._offset + x.d2p(a), box.top + y._offset + y.d2p(b)];
        return [at(0.6, 0.3), at(0.8, 0.3), at(0.8, 0.65), at(0.6, 0.65)]; }"""
    )
    path = [corners[0], corners[2]] if kind == "box" else [*corners, corners[0]]

    def draw() -> None:
        page.mouse.move(*path[0])
        page.mouse.down()
        for corner in path[1:]:
            page.mouse.move(*corner, steps=8)
        page.mouse.up()

    until(page, "#clear", draw)
    first = completed(runs)
    first = first[(first["dataset"] == "Colored") & (first["algorithm"] == "erm")]
    inside = first[first["id"].between(0.6, 0.8) & first["ood"].between(0.3, 0.65)]
    assert 5 < len(inside) < len(first)
    assert sorted(download(page)["run"]) == sorted(inside["run"])
    line = next(one for one in lines(page) if one["optimizer"] == "SGD" and one["n"])
    mine = inside[inside["optimizer"] == "sgd"]
    assert line["n"] == len(mine)
    assert line["slope"] == pytest.approx(np.polyfit(mine["id"], mine["ood"], 1)[0], abs=1e-6)
    page.click("#clear")
    assert {one["n"] for one in lines(page)} == set(
        completed(runs).groupby(["dataset", "algorithm", "optimizer"]).size()
    )


def place_of(page: Any, run: str) -> list[float]:
    """Where a run's point is on the screen, scrolled to its middle: panels may be taller."""
    found: list[float] = page.evaluate(
        """(run) => { const div = document.getElementById('scatter');
        const {levels, codes} = Store.columns.run;
        const row = codes.indexOf(levels.indexOf(run));
        for (const t of div._fullData.filter((t) => div.data[t.index].rows)) {
          const i = div.data[t.index].rows.indexOf(row);
          if (i < 0) continue;
          const x = div._fullLayout[t.xaxis.replace('x', 'xaxis')];
          const y = div._fullLayout[t.yaxis.replace('y', 'yaxis')];
          const down = y._offset + y.d2p(t.y[i]);
          scrollBy(0, div.getBoundingClientRect().top + down - innerHeight / 2);
          const box = div.getBoundingClientRect();
          return [box.left + x._offset + x.d2p(t.x[i]), box.top + down];
        } }""",
        run,
    )
    return found


def test_hover_and_click_show_a_run_and_its_learning_curves(
    report: Path, runs: pd.DataFrame, checkpoints: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    mine = runs[(runs["optimizer"] == "momentum") & (runs["status"] == "completed")]
    row = mine.sort_values("ood").iloc[0]  # alone at the end of the scale, in the first panel
    page.wait_for_timeout(1000)  # points move while the page is laid out
    x, y = place_of(page, row["run"])

    def hover() -> None:
        page.mouse.move(x - 3, y)
        page.mouse.move(x, y, steps=3)

    until(page, "#tip", hover)
    tip = page.text_content("#tip")
    same = [name for name in mine[mine["id"] == 1.0]["run"] if name in tip]  # they coincide
    assert "completed" in tip
    assert "ID 1.0000 (n = 359 examples)" in tip
    assert "lr " in tip
    until(page, "#run", lambda: (hover(), page.mouse.click(x, y)))
    shown = page.text_content("#run dl")
    assert "completed" in shown
    assert same == [] or same[0] in shown


def test_a_run_is_found_by_its_id_with_its_curves(
    report: Path, runs: pd.DataFrame, checkpoints: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    page.click("#listing-fold summary")
    for status in ("completed", "diverged"):
        row = runs[(runs["status"] == status) & (runs["algorithm"] == "irm")].iloc[1]
        page.fill("#find", row["run"][:8])
        drawn(page)
        assert row["run"] in page.text_content("#run h3")
        curves = page.evaluate("document.getElementById('learning').data.map(t => [t.x, t.y])")
        points = checkpoints[checkpoints["run"] == row["run"]]
        for (x, y), score in zip(curves, ("id_test", "ood_test"), strict=True):
            assert list(x) == points["step"].tolist()
            np.testing.assert_allclose(y, points[score], atol=1e-5)
        assert (row["reason"] in page.text_content("#run dl")) or status == "completed"
    assert len(page.query_selector_all("#listing tbody tr")) == 50 + 12
    page.click("#close-run")
    assert not page.is_visible("#run")


def test_everything_is_reached_by_keyboard(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "document.activeElement.value || document.activeElement.id "
                "|| document.activeElement.textContent.trim()"
            )
        )
        if seen[-1] == "adam":
            page.keyboard.press("Space")
            assert points(page) == len(completed(runs[runs["optimizer"] != "adam"]))
        if seen[-1] == "accuracy":
            page.keyboard.press("ArrowRight")
            drawn(page)
            assert page.is_checked('input[name="axis"][value="logit"]')
            assert "logit" in page.evaluate(
                "document.getElementById('scatter').layout.xaxis.title.text"
            )
    assert {"Skip to the explorer", "Colored", "adam", "reset", "accuracy"} <= set(seen)
    assert {"id", "ood", "none"} <= set(seen)  # of the axes' and the line's choices


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_a_phone_scrolls_one_way(
    report: Path, open_page: Callable[..., Any], scheme: str
) -> None:
    page = open_page(report, color_scheme=scheme, viewport={"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    colors = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor, "
        "document.getElementById('scatter').layout.font.color]"
    )
    ink, paper = (np.array([int(v) for v in c[4:-1].split(",")]) for c in colors[:2])
    assert (paper.mean() > 200) == (scheme == "light")
    assert abs(ink.mean() - paper.mean()) > 150
    assert colors[2] == "#" + "".join(f"{value:02x}" for value in ink)


def test_curves_are_drawn_once_they_come_near(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report)
    for name in ("returns", "budget"):
        page.locator(f"#{name}-chart").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}-chart .plot-container")
        assert page.locator(f"#{name}-legend li").count() == 3
        page.select_option(f"#{name}-panel", label="ERM on Rotated, test environments 0,1")
    trials = page.text_content("#budget-legend")
    assert "SGD: 24 trials" in trials


def test_lines_are_drawn_when_asked_for_and_say_what_they_are_worth(
    report: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    drawn(page)
    count = "document.getElementById('scatter').data.filter(t => t.mode === 'lines').length"
    assert page.evaluate(count) == 0
    assert all(not line["doubt"] for line in page.evaluate("Report.facets.flatMap(f => f.lines)"))
    page.select_option("#x", "lr")  # which decides nothing here
    page.select_option("#line", "panel")
    drawn(page)
    assert page.evaluate(count) == 3
    assert "3 of 3 lines are not supported" in page.text_content("#shown")
    page.click("#fits-fold summary")
    assert "explains less than 10% of the variance" in page.text_content("#fits")


def test_any_number_of_a_run_stands_on_an_axis(
    extended: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(extended)
    choices = page.locator("#x option").all_text_contents()
    assert choices[:3] == ["ID accuracy", "OOD accuracy", "ID validation accuracy"]
    assert {"accuracy on 15°", "seconds", "sharpness trace", "lr", "momentum"} <= set(choices)
    page.select_option("#x", "lr")
    page.select_option("#y", "accuracy on 15°")
    page.check('input[name="axis"][value="probit"]')
    drawn(page)
    found = page.evaluate(
        "document.getElementById('scatter').data.filter(t => t.rows).flatMap("
        "t => t.rows.map((row, i) => [Store.value('run', row), t.x[i], t.y[i]]))"
    )
    known = completed(runs).set_index("run")
    assert len(found) == len(known) - 9  # nine have an accuracy of 1, whose examples are not known
    for run, x, y in found:
        assert x == pytest.approx(np.log10(known.loc[run, "lr"]), abs=1e-12)
        assert y == pytest.approx(NormalDist().inv_cdf(known.loc[run, "id"]), abs=1e-9)
    names = page.evaluate("document.getElementById('scatter').layout.xaxis.ticktext")
    assert {"0.001", "0.1"} <= set(names)


def test_points_of_optimizers_are_mixed_and_selected_ones_are_ringed(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    drawn(page)
    rows = page.evaluate("document.getElementById('scatter').data.find(t => t.rows).rows")
    looks = page.evaluate("document.getElementById('scatter').data.find(t => t.rows).marker.symbol")
    turns = sum(a != b for a, b in pairwise(looks))
    assert turns > len(rows) / 3  # in blocks there would be two
    known = optimizer_table(runs).set_index("run")
    rings = page.evaluate(
        "document.getElementById('scatter').data.filter(t => t.name === 'selected')"
        ".flatMap(t => t.x.map((x, i) => [x, t.y[i]]))"
    )
    assert sorted(map(tuple, rings)) == sorted(zip(known["id"], known["ood"], strict=True))
    run = known.index[4]
    page.click(f'#selected a.run:has-text("{run}")')
    assert f"Run {run} (selected)" in page.text_content("#run h3")
    assert "ID validation accuracy" in page.text_content("#run dl")
    settings = page.text_content(f'#selected tr:has(a:has-text("{run}"))')
    assert f"lr\xa0{runs.set_index('run').loc[run, 'lr']:.4g}" in settings


@pytest.mark.slow
def test_an_address_holds_what_is_shown(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any]
) -> None:
    page = open_page(report)
    drawn(page)
    assert "#" not in page.url
    page.uncheck('input[name="optimizer"][value="adam"]')
    page.click("text=Hyperparameter ranges")
    page.fill('input[name="lr-least"]', "1e-3")
    page.select_option("#y", "id_val")
    page.select_option("#line", "panel")
    page.check('input[name="axis"][value="logit"]')
    page.evaluate("Run.show(5)")
    drawn(page)
    kept = page.evaluate("Report.facets.map(f => [f.panel.title, f.rows, f.y])")
    again = open_page(report, hash=page.url.partition("#")[2])
    drawn(again)
    assert again.evaluate("Report.facets.map(f => [f.panel.title, f.rows, f.y])") == kept
    assert again.input_value("#line") == "panel"
    assert again.input_value('input[name="lr-least"]') == "1e-3"
    assert not again.is_checked('input[name="optimizer"][value="adam"]')
    assert again.evaluate("Run.shown()") == 5
    again.click("#close-run")
    again.click("#reset")
    for name, value in (("#y", "ood"), ("#line", "none")):
        again.select_option(name, value)
    again.check('input[name="axis"][value="accuracy"]')
    drawn(again)
    assert "#" not in again.url


def test_a_selection_is_in_the_address(report: Path, open_page: Callable[..., Any]) -> None:
    rows = [3, 4, 40, 101]
    page = open_page(report, hash="selected=3.1.10.1p")
    drawn(page)
    assert page.evaluate("State.packed([3, 4, 40, 101])") == "3.1.10.1p"
    assert page.evaluate("State.unpacked('3.1.10.1p')") == rows
    assert "4 are selected" in page.text_content("#shown")
    assert len(download(page)) == 4


def test_environments_have_names_in_the_order_of_their_numbers(
    extended: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(extended)
    labels = page.locator('label:has(input[name="side"])').all_text_contents()
    assert [label.strip() for label in labels] == ["2 (-90%)144", "0 (0°), 1 (15°)72"]
    assert page.locator("#filter-form .of").all_text_contents() == ["Colored", "Rotated"]
    title = page.evaluate("Report.facets[0].panel.title")
    assert title == "ERM on Colored, test environment 2 (-90%)"


def changed(report: Path, folder: Path, old: str, new: str) -> Path:
    """The report with another constant in its scripts, which the policy then does not know."""
    text = report.read_text(encoding="utf-8")
    assert text.count(old) == 1
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    path = folder / "changed.html"
    path.write_text(policy.sub("", text.replace(old, new)), encoding="utf-8")
    return path


def test_of_very_many_runs_a_sample_is_drawn(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(changed(report, tmp_path, "const DRAWN = 40000;", "const DRAWN = 100;"))
    assert 100 <= points(page) <= 100 + 3 + len(optimizer_table(runs))
    assert "A random 1" in page.text_content("#shown")
    assert sum(line["n"] for line in lines(page)) == len(completed(runs))


def test_a_few_points_are_drawn_at_once_and_then_the_others(
    report: Path, runs: pd.DataFrame, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(changed(report, tmp_path, "const AT_ONCE = 2000;", "const AT_ONCE = 60;"))
    count = (
        "document.getElementById('scatter').data.filter(t => t.rows)"
        ".reduce((n, t) => n + t.x.length, 0)"
    )
    page.wait_for_function(f"{count} === {len(completed(runs))}")
    soon = page.evaluate(
        """async () => {
          document.querySelector('input[name="optimizer"][value="sgd"]').click();
          await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
          return """
        + count
        + """;
        }"""
    )
    assert 60 <= soon <= 60 + 3 + len(optimizer_table(runs))
    kept = completed(runs[runs["optimizer"] != "sgd"])
    page.wait_for_function(f"{count} === {len(kept)}")
    assert f"{len(kept)} points of" in page.text_content("#shown")
    assert "A random" not in page.text_content("#shown")


def test_no_table_is_wider_than_the_page(extended: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(extended)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    drawn(page)
    wide = page.evaluate(
        "[...document.querySelectorAll('.scroll:has(table)')]"
        ".filter((s) => s.scrollWidth > s.clientWidth + 1)"
        ".map((s) => [s.closest('section').id, s.ariaLabel, s.scrollWidth, s.clientWidth])"
    )
    assert wide == []


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"color_scheme": "light"}, marks=pytest.mark.slow),
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
    ],
)
def test_axe_finds_nothing(
    extended: Path, open_page: Callable[..., Any], how: dict[str, Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    page = open_page(extended, bypass_csp=True, **how)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    drawn(page)
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    told = [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
    assert told == []
    # axe leaves open what lies behind a text of a drawing, and behind cells that scroll out of
    # sight on a phone. It is the page: the next test computes these contrasts.
    left = {(one["id"], node["html"][:5]) for one in found["incomplete"] for node in one["nodes"]}
    assert {name for name, _ in left} <= {"color-contrast"}
    if "viewport" not in how:
        assert {html for _, html in left} <= {"<text", "<tspa"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_drawings_and_tables_stand_out_from_the_page(
    extended: Path, open_page: Callable[..., Any], scheme: str
) -> None:
    page = open_page(extended, color_scheme=scheme)
    found = page.evaluate(
        """() => {
        const numbers = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const texts = [...document.querySelectorAll("svg text")];
        const inks = texts.filter((t) => !t.closest(".paper")).map((t) => getComputedStyle(t).fill);
        const cells = [...document.querySelectorAll("td, th, td a")];
        inks.push(...cells.map((cell) => getComputedStyle(cell).color));
        const page = getComputedStyle(document.body).backgroundColor;
        return [page, ...new Set(inks)].map(numbers); }"""
    )
    colors = np.array(found) / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    light = linear @ (0.2126, 0.7152, 0.0722) + 0.05
    assert len(light) > 2
    assert (np.maximum(light[1:], light[0]) / np.minimum(light[1:], light[0]) >= 4.5).all()


def test_on_paper_every_chart_is_drawn(report: Path, open_page: Callable[..., Any]) -> None:
    page = open_page(report, color_scheme="dark")
    made = page.pdf(format="A4")
    assert made.startswith(b"%PDF")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    drawn(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.getElementById('scatter').layout.font.color") == "#000000"
    assert page.query_selector("#budget-chart .plot-container") is not None
    assert not page.is_visible("nav")

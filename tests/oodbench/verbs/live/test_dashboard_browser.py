"""The dashboard in a real browser: a sweep that runs, and what a page does when it cannot ask."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oodbench import query, status
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan

DIVERGING = {"name": "sgd", "space": {"lr": {"log": [1e4, 1e6]}}}
POINTS = (
    "(document.getElementById('scatter').data || []).filter(t => t.rows)"
    ".reduce((n, t) => n + t.x.length, 0)"
)
WIDE = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}


@pytest.fixture
def open_live(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a dashboard; at the end nobody else may have been asked, and no error said."""
    contexts, strangers, errors = [], [], []

    def open_url(url: str, **options: Any) -> Any:
        context = browser.new_context(**{**WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        known = (url.partition("?")[0], "blob:", "data:")
        page.on("request", lambda r: r.url.startswith(known) or strangers.append(r.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.goto(url)
        page.wait_for_selector("html[data-live]", state="attached")
        return page

    yield open_url
    for context in contexts:
        context.close()
    assert (strangers, errors) == ([], [])


@pytest.fixture
def planned(tmp_path: Path, tiny: Callable[..., dict[str, Any]]) -> Path:
    """A database with a sweep that nobody trains yet; some of its runs will diverge."""
    sweep = tiny(
        optimizers=["adam", DIVERGING],
        search={"trials": 24},
        train={"steps": 1500, "batch": {"per_environment": 8}, "evaluate_every": 500},
    )
    with open_database(tmp_path / "runs.db", create=True) as db:
        add_sweep(db, "tiny", {}, plan(sweep).studies)
    return tmp_path / "runs.db"


@pytest.fixture
def train(planned: Path) -> Iterator[Callable[[], None]]:
    """Starts a worker, with a log where ``run_sweep`` puts it."""
    started = []

    def start() -> None:
        owner = "vm:worker-0:0123abcd"
        command = [sys.executable, "-m", "oodbench", "worker", "tiny", "--db", str(planned)]
        command += ["--device", "cpu", "--stack", "6", "--owner", owner]
        planned.with_suffix(".logs").mkdir()
        log = (planned.with_suffix(".logs") / "worker-0.log").open("wb")
        started.append(subprocess.Popen(command, stdout=log, stderr=log))
        log.close()

    yield start
    for process in started:
        process.kill()
        process.wait()


def facts(page: Any) -> dict[str, str]:
    """What stands at the top of the page."""
    found: dict[str, str] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#totals > div')]"
        ".map(d => [d.firstChild.textContent, d.lastChild.textContent]))"
    )
    return found


@pytest.mark.slow
def test_points_appear_as_runs_end_and_what_a_reader_chose_stays(
    planned: Path, train: Callable[[], None], serve: Callable[..., Any], open_live: Any
) -> None:
    page = open_live(serve(planned).url)
    assert page.text_content("#state") == "Waiting: no worker holds a run."
    assert facts(page)["ended"] == "0 of 48"
    assert page.is_visible("#none-yet")
    assert not page.is_visible("#scatter")

    train()
    page.wait_for_selector("html[data-ready]", state="attached")
    first = page.evaluate(POINTS)
    assert 0 < first < 24
    page.wait_for_selector("#workers li")
    assert "worker-0" in page.text_content("#workers")
    assert "ColoredDigits [2], erm" in page.text_content("#workers")
    page.click("text=Hyperparameter ranges")
    page.fill('input[name="lr-least"]', "1e-9")  # all have more
    page.evaluate("window.same = true; Plotly.relayout('scatter', {'xaxis.range': [0.3, 0.7]})")

    page.wait_for_function(f"{POINTS} > {first}")
    assert page.evaluate("document.getElementById('scatter').layout.xaxis.range") == [0.3, 0.7]
    assert page.input_value('input[name="lr-least"]') == "1e-9"
    assert page.evaluate("document.activeElement.name") == "lr-least"
    assert "least.lr=1e-9" in page.url

    page.wait_for_function("document.getElementById('state').textContent.startsWith('Done')")
    runs = query(planned)
    completed, diverged = (runs[runs["status"] == name] for name in ("completed", "diverged"))
    assert len(completed) >= 24
    assert len(diverged) > 0
    page.wait_for_function(f"{POINTS} === {len(completed)}")
    assert page.evaluate("window.same")  # it was never loaded anew
    told = facts(page)
    assert told["ended"] == "48 of 48"
    assert told["diverged"] == str(len(diverged))
    assert told["best ID validation"] == f"{completed['id_val'].max():.3f}"
    assert page.text_content("#done-fold summary") == f"{len(status(planned))} studies done"
    assert "No worker holds a run." in page.text_content("#workers")

    chosen = query(planned, select="id_val").set_index("optimizer").loc["adam"]
    best = chosen["run"]
    page.click(f"#best a.run:text-is('{best}')")
    page.wait_for_selector("#run #learning .main-svg")
    assert best in page.text_content("#run h3")
    last = page.evaluate("document.getElementById('learning').data[0].y.at(-1)")
    assert last == pytest.approx(chosen["id"], abs=1e-6)
    assert f"run={best}" in page.url

    page.click("#failure-list summary")
    page.wait_for_function("/trains/.test(document.querySelector('#failure-list pre').textContent)")
    assert re.search(r"no longer finite", page.text_content("#failure-list summary"))


@pytest.fixture
def mixed(filled_file: Any) -> Any:
    """A database with runs in every state."""
    filled_file.plan(12)
    filled_file.take(9)
    filled_file.end(4, 0.25, 0.5, 0.75, 1.0)
    filled_file.end(2, status="diverged", reason="The loss became infinite at step 3.")
    filled_file.end(1, status="failed", reason="Out of memory.")
    return filled_file


@pytest.mark.parametrize("how", [WIDE, {**WIDE, "color_scheme": "dark"}, PHONE], ids=str)
def test_axe_finds_nothing_and_the_page_scrolls_one_way(
    mixed: Any, serve: Callable[..., Any], open_live: Any, how: dict[str, Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python")
    page = open_live(serve(mixed.target).url, bypass_csp=True, **how)
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.click("#best a.run >> nth=0")
    page.wait_for_selector("#run #learning .main-svg")
    page.wait_for_function("/--logs/.test(document.querySelector('#failure-list pre').textContent)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    told = [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
    assert told == []


def test_a_page_says_when_it_cannot_ask_and_goes_on_when_it_can(
    mixed: Any, serve: Callable[..., Any], open_live: Any, tmp_path: Path
) -> None:
    page = open_live(serve(mixed.target).url)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.text_content("#state") == "In training."
    Path(mixed.target).rename(tmp_path / "away")
    page.wait_for_selector("#state.warning")
    assert mixed.target in page.text_content("#state")
    assert page.evaluate(POINTS) == 4  # what it knows stays
    (tmp_path / "away").rename(mixed.target)
    mixed.end(1)
    page.wait_for_function(f"{POINTS} === 5")
    assert page.text_content("#state") == "In training."
    page.route("**/changes*", lambda route: route.fulfill(status=200, body="no JSON"))
    page.wait_for_selector("#state.warning")
    assert "does not answer" in page.text_content("#state")


def test_with_a_token_the_page_asks_with_it(
    mixed: Any, serve: Callable[..., Any], open_live: Any
) -> None:
    server = serve(mixed.target, host="0.0.0.0")
    page = open_live(re.sub(r"//[^:]+:", "//127.0.0.1:", server.url))
    page.wait_for_selector("html[data-ready]", state="attached")
    page.check('input[name="axis"][value="logit"]')
    assert page.evaluate(POINTS) == 4
    assert "?token=" in page.url  # also when the address holds what is shown
    page.click("#best a.run >> nth=0")
    page.wait_for_selector("#run #learning .main-svg")

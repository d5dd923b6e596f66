"""What opening a report of 20,000 runs takes: in headless chromium, drawing without a GPU.

The runs are those of the figures' benchmark, made up. Opening is from the start of the navigation
to the first drawing of the explorer, which is of the first dataset; filtering from a click on an
optimizer's box to the screen after it, with that dataset and with all runs: of many points the
first are there then, and the others follow.
"""

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oodbench.results import open_database
from tests.benchmarks.figures import fill, seconds

ROUNDS = 5
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader"]
FILTER = """async () => {
  const start = performance.now();
  document.querySelector('input[name="optimizer"]').click();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return (performance.now() - start) / 1000;
}"""


def measure() -> Iterator[dict[str, object]]:
    """A row a wait, in seconds; the file's size in MiB."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        with open_database(f"{folder}/large.db", create=True) as db:
            fill(db)
        path = Path(folder, "report.html").absolute()
        wrote = seconds(["report", "--db", f"{folder}/large.db", "-o", str(path)])
        yield {"what": "oodbench report, seconds", "value": round(wrote, 1)}
        yield {"what": "size of the file, MiB", "value": round(path.stat().st_size / 2**20, 1)}
        with sync_playwright() as library:
            where = shutil.which("chromium")
            browser = library.chromium.launch(executable_path=where, args=ARGUMENTS)
            waits = list(zip(*(look(browser, path) for _ in range(ROUNDS)), strict=True))
            browser.close()
    for what, found in zip(("opening", "filtering 10,000", "filtering all"), waits, strict=True):
        yield {"what": f"{what}, best of {ROUNDS}, seconds", "value": round(min(found), 2)}
        yield {"what": f"{what}, median, seconds", "value": round(statistics.median(found), 2)}


def look(browser: Any, path: Path) -> tuple[float, float, float]:
    """Seconds that opening the file takes, a filter of one dataset, and one of all of them."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
    opened = float(page.evaluate("Report.ready")) / 1000
    page.wait_for_timeout(500)
    filtered = float(page.evaluate(FILTER))
    for name in ("dataset", "side"):
        for box in page.locator(f'input[name="{name}"]').all():
            box.check()
    page.wait_for_timeout(1000)
    of_all = float(page.evaluate(FILTER))
    page.close()
    return opened, filtered, of_all

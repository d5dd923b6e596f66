"""The site of the documentation, as a screen reader meets it: axe finds nothing on any page."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OPTIONS = {"rules": {"landmark-unique": {"enabled": False}}}
"""The theme names two navigations alike, which no page can change."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pages of a site that is built anew, less those that only show a file."""
    pytest.importorskip("mkdocs", reason="needs pip install 'oodbench[docs]'")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    pages = (page.relative_to(folder) for page in folder.rglob("*.html"))
    return [folder / page for page in sorted(pages) if page.parts[0] not in ("assets", "source")]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site: list[Path], scheme: str, browser: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(color_scheme=scheme)
    assert len(site) > 50
    found = []
    for path in site:
        page.goto(f"file://{path}", wait_until="domcontentloaded", timeout=120_000)
        for violation in axe.run(page, options=OPTIONS).response["violations"]:
            node = violation["nodes"][0]
            found.append(f"{path.name}: {violation['id']}: {node['target']} {node['html'][:120]}")
    page.close()
    assert not found, "\n".join(found)

"""The pages of examples: their order, and their numbers.

Those of studies that are shipped come out of the shipped runs as the pages show them. Of the
others, the commands of the page that recompute them run on a small sweep of the same recipe.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import oodbench

ROOT = Path(__file__).parents[1]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/example-*.md")}
SECTIONS = ["Question", "Cost", "Figure", "Answer", "What it does not show"]


@pytest.mark.parametrize("page", PAGES)
def test_an_example_has_its_five_parts_in_order_and_is_short(page: str) -> None:
    assert re.findall(r"^## (.+)$", PAGES[page], re.MULTILINE) == SECTIONS
    assert len(PAGES[page].splitlines()) <= 120


def shown(page: str) -> list[str]:
    """The lines that a page shows as printed by ``conclude``."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)
    return [line for language, text in blocks if not language for line in text.splitlines()]


@pytest.fixture(scope="module", params=["digits", "pacs"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of a study that is shipped."""
    db = tmp_path_factory.mktemp("shipped") / f"{request.param}.db"
    oodbench.example(request.param, db)
    return db


@pytest.mark.slow
def test_shipped_runs_give_the_conclusions_of_the_page(study: Path) -> None:
    page = f"example-{study.stem}"
    found = str(oodbench.conclude(study))
    assert len(shown(page)) > 10
    assert [line for line in shown(page) if line not in found.splitlines()] == []
    answer = PAGES[page].split("## Answer")[1].split("## What")[0]
    quoted = re.findall("[+\u2212][0-9]+[.][0-9]", re.sub(r"(?s)```.*?```", "", answer))
    assert len(quoted) >= 5
    assert set(quoted) <= set(re.findall("[+\u2212][0-9]+[.][0-9]", found))


@pytest.mark.slow
def test_shipped_runs_are_as_many_as_the_page_says(study: Path) -> None:
    text = " ".join(PAGES[f"example-{study.stem}"].split())
    runs = oodbench.query(study)
    counts = runs["status"].value_counts()
    for status in ("completed", "diverged"):
        assert re.search(rf"\b{counts[status]:,} (models )?{status}", text)
    assert f"{len(runs):,} models" in text
    assert "none failed" in text
    assert (runs["status"] != "failed").all()


NAMES = {"sgd": "SGD", "rmsprop": "RMSProp", "adamw": "AdamW"}


@pytest.mark.slow
def test_the_selected_runs_of_pacs_are_those_of_its_table(tmp_path: Path) -> None:
    oodbench.example("pacs", tmp_path / "pacs.db")
    best = oodbench.query(tmp_path / "pacs.db", select="id_val")
    table = best.pivot(index=["algorithm", "optimizer"], columns="test_environments", values="ood")
    for algorithm, optimizer in table.index:
        scores = table.loc[(algorithm, optimizer)]
        name = NAMES.get(optimizer, optimizer.capitalize())
        cells = [f"{score:.3f}".removeprefix("0") for score in [*scores, scores.mean()]]
        row = f"| {name} | {algorithm.upper()} | {' | '.join(cells)} |"
        assert row in PAGES["example-pacs"]


DIGITS = "datasets=[{name: RotatedDigits, test_environments: [0]}]"
TARGETS = "gaussian_noise shot_noise impulse_noise defocus_blur fog brightness contrast pixelate"
SMALL = {
    "example-optimizers": [DIGITS],
    "example-sharpness": [DIGITS],
    "example-parallel": [DIGITS],
    "example-table": [],
    "example-text": [
        "datasets=[{name: Table, file: mails.csv, features: [x], test_environments: each}]",
        "model={name: mlp}",
    ],
    "example-cifar": ["datasets.0.per_corruption=8", "model={name: mlp}"],
    "example-finetuning": [
        "datasets=[{name: ImageFolders, folder: tiny, size: 32, test_environments: [0]}]",
        "model={name: efficientnet_lite0, pretrained: false}",
    ],
}
"""Page -> what its sweep has in place of the real data and weights."""


def write_data(root: Path) -> None:
    """Small files in the place of those that the pages fetch."""
    from cifar_helpers import write_batches, write_targets
    from image_helpers import write_tree

    environments = {"seasons": "abcd", "airports": "abc", "mails": "abc"}
    for name, environments_of in environments.items():
        rows = [f"{i % 7},{i % 2},{env}" for env in environments_of for i in range(40)]
        (root / f"{name}.csv").write_text("\n".join(["x,label,environment", *rows]))
    write_tree(root / "tiny", "ab", ("cat", "dog"), 20)
    write_batches(root)
    write_targets(root, corruptions=(*TARGETS.split(), "jpeg_compression"))


def commands(page: str) -> list[list[str]]:
    """The commands of a page that compute something of its database, in order."""
    text = PAGES[page].replace("\\\n", " ").replace("2400", "12")  # gradients: 4 trials of 4 steps
    found = re.findall(
        r"(?:^|`)(oodbench (?:probe|conclude|query|plot) [^`\n]+)", text, re.MULTILINE
    )
    return [shlex.split(command) for command in found]


@pytest.mark.slow
@pytest.mark.parametrize("page", SMALL)
def test_the_commands_of_the_page_compute_its_numbers_on_a_small_sweep(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    text = PAGES[page.replace("sharpness", "optimizers")]
    recipe = re.search(r"oodbench sweep (\S+) --db (\S+)", text)
    changes = ["search.trials=4", "train.steps=4", "train.evaluate_every=4", *SMALL[page]]
    run(["sweep", str(ROOT / recipe[1]), "--db", recipe[2], *sets(changes)], tmp_path)
    runs = oodbench.query(tmp_path / recipe[2])
    assert (runs["status"] != "failed").all()
    assert len(commands(page)) >= 2
    for command in commands(page):
        run(command[1:], tmp_path)
        if "-o" in command:
            assert (tmp_path / command[command.index("-o") + 1]).stat().st_size > 10_000
    for code in re.findall(r"```python\n(.*?)```", PAGES[page].replace("2400", "12"), re.DOTALL):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr


def sets(changes: list[str]) -> list[str]:
    """The flags that change a sweep file."""
    return [word for change in changes for word in ("--set", change)]


def run(words: list[str], folder: Path) -> None:
    """Run a command of oodbench in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "oodbench", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"

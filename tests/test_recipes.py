"""The recipes in sweeps/: all can be read without data; the study's says what is known of it."""

from pathlib import Path

import pytest

from oodbench.sweep import SweepSpec, load_sweeps
from oodbench.sweep.estimate import estimate

SWEEPS = Path(__file__).parents[1] / "sweeps"
COMMON = "common.yaml"
STUDY = load_sweeps(SWEEPS / "naganuma2023.yaml")
RECIPES = [path for path in sorted(SWEEPS.rglob("*.yaml")) if path.name != COMMON]


@pytest.fixture
def own_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of one's own, which text.yaml needs: nobody else can say which environments it has."""
    rows = [f"a,{label},{env}" for env in ("first", "hard", "second") for label in ("ham", "spam")]
    (tmp_path / "mails.csv").write_text("\n".join(["text,label,environment", *rows]))
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))


@pytest.mark.usefixtures("own_table")
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(SWEEPS)))
def test_every_recipe_can_be_read(path: Path) -> None:
    assert all(estimate(spec) for spec in load_sweeps(path))


def test_the_study_lists_every_file_beside_it() -> None:
    named = {path.stem for path in RECIPES if path.parent.name == "naganuma2023"}
    assert {spec.name.removeprefix("naganuma2023-").replace("-", "_") for spec in STUDY} == named


def test_the_study_trains_over_20000_models() -> None:
    rows = [row for spec in STUDY for row in estimate(spec)]
    assert sum(row.models for row in rows) == 92 * 220 == 20240
    texts = ("Amazon", "CivilComments")
    assert all((row.seconds is None) == (row.dataset in texts) for row in rows)


def named(name: str) -> SweepSpec:
    return next(spec for spec in STUDY if spec.name == f"naganuma2023-{name}")


def test_the_studys_deviations_are_its_codes() -> None:
    for spec in STUDY:
        algorithms = {entry.name: entry for entry in spec.algorithms}
        if spec.name.endswith("backgrounds"):
            assert list(algorithms) == ["erm"]
            assert [entry.name for entry in spec.optimizers] == ["momentum", "adam"]
            continue
        optimizers = [entry.name for entry in spec.optimizers]
        assert optimizers == ["sgd", "momentum", "nesterov", "rmsprop", "adam"]
        if spec.name.endswith(("amazon", "civil-comments")):  # WILDS' code keeps the optimizer
            assert algorithms["irm"].options == {"restart": "same", "rescale": False}
            assert (spec.train.schedule, spec.train.clip_norm) == ("linear", 1.0)
            continue
        assert algorithms["irm"].options == {"restart": "adam", "rescale": False}
        assert spec.train.steps == 5001
        for dataset in spec.datasets:
            tested = 2 if dataset.name == "ColoredMNIST" else 0
            assert dataset.turns() == [(tested,)]
            assert dataset.options["domainbed"] == {"seed": 0, "trial_seed": 0}
    every = {spec.name.removeprefix("naganuma2023-"): spec.train.evaluate_every for spec in STUDY}
    assert every == {
        "colored-mnist": 100,
        "rotated-mnist": 100,
        "domainbed": 300,
        "domainnet": 1000,
        "backgrounds": 1000,
        "amazon": None,
        "civil-comments": None,
    }
    assert named("amazon").datasets[0].options == {"amazon_id": "val"}
    assert named("civil-comments").datasets[0].options == {"environments": "published"}
    assert named("domainbed").datasets[1].options["augment_id_val"] is True
    assert named("rotated-mnist").train.batch == named("colored-mnist").train.batch

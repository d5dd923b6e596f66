"""The recipes in sweeps/: all can be read without data; the study's says what is known of it."""

from pathlib import Path

import pytest

from oodbench.sweep import SweepSpec, load_sweeps
from oodbench.sweep.estimate import estimate

SWEEPS = Path(__file__).parents[1] / "sweeps"
COMMON = "common.yaml"
STUDY = load_sweeps(SWEEPS / "naganuma2023.yaml")
RECIPES = [
    path
    for path in sorted(SWEEPS.rglob("*.yaml"))
    if path.name != COMMON and path.parent.name != "claims"
]


@pytest.fixture
def own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of one's own, of text.yaml and flights.yaml: nobody else knows their environments."""
    for name in ("seasons", "airports"):
        rows = [f"{x},{x > 1},{env}" for env in "abc" for x in range(4)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["time,label,environment", *rows]))
    rows = [f"a,{label},{env}" for env in ("first", "hard", "second") for label in ("ham", "spam")]
    (tmp_path / "mails.csv").write_text("\n".join(["text,label,environment", *rows]))
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))


@pytest.mark.usefixtures("own_tables")
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


def test_vision_transformers_are_fine_tuned_as_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files, at a tiny size: timm's smallest ViT with random weights, a few noisy images."""
    pytest.importorskip("timm", reason="needs pip install 'oodbench[timm]'")
    from image_helpers import write_tree

    from oodbench import query
    from oodbench.results import add_sweep, open_database
    from oodbench.sweep.plan import plan
    from oodbench.workers.worker import work
    from oodbench.workers.worker_settings import WorkerSettings

    write_tree(tmp_path / "data" / "tiny", "ab", ("cat", "dog"), 10)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    changes = (
        "datasets=[{name: ImageFolders, folder: tiny, size: 32, test_environments: [0]}]",
        "model={name: timm.test_vit, pretrained: false}",
        "search.trials=4",
        "train.steps=2",
        "train.evaluate_every=2",
        "train.batch.per_environment=2",
    )
    for spec in load_sweeps(SWEEPS / "finetune_vit.yaml", changes):
        planned = plan(spec)
        with open_database(tmp_path / "vit.db", create=True) as db:
            said = spec.model_dump(mode="json", exclude_none=True)
            add_sweep(db, spec.name, said, planned.studies)
        work(tmp_path / "vit.db", spec.name, WorkerSettings(device="cpu", stack=1))
    runs = query(tmp_path / "vit.db")
    assert sorted(runs["optimizer"].unique()) == ["adamw", "momentum", "sgd"]
    assert runs["status"].tolist() == ["completed"] * 12
    assert set(runs["freeze"]) == {"none", "embedding"}

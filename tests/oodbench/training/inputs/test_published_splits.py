"""A dataset whose authors published its splits: trained, scored by role and group, asked about."""

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection

import oodbench
from analysis.compare.health import search_health
from analysis.runs.panels import panels
from oodbench.data import DATASETS, Dataset, DatasetSpec, Environment, Published, Rows, Split
from oodbench.errors import QueryError, RequestError, SweepError, UnknownNameError
from oodbench.results import add_sweep, open_database
from oodbench.verbs.plot import draw
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

SIZES = {"id_val": 40, "id_test": 60, "val": 50, "test": 80}
ROLES = {"id_val": "id_val", "id_test": "id_test", "val": "ood_val", "test": "ood_test"}


def toy(name: str, roles: dict[str, str], worst: dict[str, str]) -> Dataset:
    """Two features of which one is the label; examples of three groups, the last one rare."""
    rng = np.random.default_rng(0)
    n = 200 + sum(SIZES.values())
    labels = rng.integers(0, 2, n)
    inputs = np.stack([labels * 2.0 - 1, rng.normal(size=n)], axis=1).astype(np.float32)
    groups = np.minimum(rng.integers(0, 8, n), 2)[:, None]
    rows = np.split(np.arange(n), np.cumsum([120, 80, *SIZES.values()])[:-1])
    splits = [Split(Rows(inputs, mine), labels[mine]) for mine in rows]
    environments = tuple(
        Environment(e, {"train": s}) for e, s in zip("ab", splits[:2], strict=True)
    )
    published = tuple(
        Published(part, roles[part], split, groups[mine], worst.get(part, ""))
        for part, split, mine in zip(SIZES, splits[2:], rows[2:], strict=True)
        if part in roles
    )
    return Dataset(
        *(name, environments, 2),
        content="toy",
        published=published,
        groups=("many", "some", "rest"),
        metrics=("acc_wg",),
    )


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    DATASETS.names()
    shapes = {"ToyDomains": (ROLES, {}), "ToyGroups": ({"val": "id_val", "test": "id_test"}, None)}
    shapes["ToyUnvalidated"] = ({p: r for p, r in ROLES.items() if r != "id_val"}, {})
    for name, (roles, worst) in shapes.items():
        worst = {"test": "ood_test"} if worst is None else worst
        shift = "subpopulation" if worst else ""
        spec = DatasetSpec(
            *(name, ("a", "b"), 2),
            lambda data_seed, name=name, roles=roles, worst=worst: toy(name, roles, worst),
            metric="acc_wg",
            shift=shift,
            published=True,
        )
        monkeypatch.setitem(DATASETS._things, name, spec)


def sweep(name: str, **changes: object) -> dict[str, object]:
    return {
        "name": "toy",
        "datasets": [{"name": name}],
        "algorithms": ["erm", "irm"],
        "optimizers": ["sgd"],
        "model": {"name": "mlp", "width": 4, "depth": 1},
        "search": {"trials": 2},
        "train": {"steps": 20, "batch": {"per_environment": 8}, "evaluate_every": 10},
        **changes,
    }


def trained(name: str, db: Path) -> Path:
    """The database, filled here and now: workers would not know the toys."""
    planned = oodbench.plan(sweep(name))
    with open_database(db, create=True) as database:
        add_sweep(database, planned.spec.name, {}, planned.studies)
    work(db, settings=WorkerSettings(device="cpu", stack=2))
    return db


def test_runs_are_scored_by_role_and_by_every_metric(tmp_path: Path) -> None:
    db = trained("ToyDomains", tmp_path / "toy.db")
    runs = oodbench.query(db)
    assert runs["status"].tolist() == ["completed"] * 4
    assert set(runs["test_environments"]) == {""}
    sizes = runs[["n_id_val", "n_id_test", "n_ood_val", "n_ood_test"]]
    assert sizes.to_numpy().tolist() == [list(SIZES.values())] * 4
    curves = oodbench.query(db, sql="SELECT * FROM curves WHERE step = 20 AND role = 'ood_test'")
    for _, mine in curves.groupby("run_id"):
        by = mine.set_index("metric")
        assert {"accuracy", "balanced_accuracy", "nll", "ece", "acc_wg"} <= set(by.index)
        groups = mine[mine["metric"] == "group_accuracy"]
        assert groups["environment"].tolist() == ["many", "some", "rest"]
        assert groups["n"].sum() == SIZES["test"]
        mean = (groups["value"] * groups["n"]).sum() / SIZES["test"]
        assert by.loc["accuracy", "value"] == pytest.approx(mean)
        lowest = groups.loc[groups["value"].idxmin()]
        assert by.loc["acc_wg", ["value", "n"]].tolist() == lowest[["value", "n"]].tolist()
    worst = oodbench.query(db, metric="worst_group_accuracy").set_index("run")
    for run in runs.to_dict("records"):
        of = worst.loc[run["run"]]
        assert of["ood"] <= run["ood"]
        assert of["n_ood"] < run["n_ood"]
        assert math.isnan(of["chance"])
        assert run["worst_group_val"] == of["id_val"]
    best = oodbench.query(db, select="ood_val")
    assert best.groupby("algorithm")["ood_val"].first().tolist() == [
        runs[runs["algorithm"] == a]["ood_val"].max() for a in ("erm", "irm")
    ]
    weights = tmp_path / "weights.safetensors"
    again = oodbench.reproduce(db, runs["run"][0], weights=weights)
    assert again.exact
    assert again.compared == 2 * (1 + 4 * (5 + 1 + 3))  # loss; of each split, ours, WILDS', groups
    table = oodbench.evaluate(db, runs["run"][0], weights=weights)
    assert table["split"].tolist() == ["train", "train", *SIZES]
    known = table.dropna(subset=["stored"])
    np.testing.assert_allclose(known["accuracy"], known["stored"])
    assert len(known) == 4


def test_predictions_are_kept_with_their_groups(tmp_path: Path) -> None:
    db = trained("ToyDomains", tmp_path / "toy.db")
    (found,) = oodbench.predictions(db)
    assert found.examples["split"].value_counts().to_dict() == SIZES
    curves = oodbench.query(db, sql="SELECT * FROM curves WHERE step = 20")
    for run, predicted in zip(found.runs, found.predicted, strict=True):
        right = found.examples.assign(right=predicted == found.examples["label"])
        mine = curves[curves["run_id"] == run]
        whole = mine[mine["metric"] == "accuracy"].set_index("split")["value"]
        assert right.groupby("split", observed=True)["right"].mean().to_dict() == whole.to_dict()
        groups = mine[mine["metric"] == "group_accuracy"].set_index(["split", "environment"])
        by_group = right.groupby(["split", "group"], observed=True)["right"].mean()
        assert by_group.to_dict() == groups["value"].to_dict()


def test_under_subpopulation_shift_the_worst_group_is_out_of_distribution(tmp_path: Path) -> None:
    db = trained("ToyGroups", tmp_path / "toy.db")
    runs, worst = oodbench.query(db), oodbench.query(db, metric="worst_group_accuracy")
    assert runs["ood"].tolist() == worst["id_test"].tolist()
    assert runs["n_id"].tolist() == [SIZES["test"]] * 4
    assert runs["n_ood"].tolist() == worst["n_id_test"].tolist()
    assert (runs["ood"] <= runs["id"]).all()
    panel = panels(runs)[0]
    assert panel.heading[0] == "ERM on ToyGroups"
    assert "subpopulation shift: OOD accuracy is that of the worst group" in panel.heading


def test_what_such_a_dataset_is_not_asked_for() -> None:
    for test, told in (([0], "published splits, so no test environments"), ("each", "published")):
        with pytest.raises(SweepError, match=told):
            oodbench.plan(
                sweep("ToyDomains", datasets=[{"name": "ToyDomains", "test_environments": test}])
            )
    with pytest.raises(SweepError, match="irm needs at least 2 examples of each environment"):
        oodbench.plan(
            sweep("ToyDomains", train={"steps": 2, "batch": {"size": 2, "environments": 2}})
        )
    with pytest.raises(SweepError, match="asks for 3 environments, but ToyDomains has 2"):
        oodbench.plan(
            sweep("ToyDomains", train={"steps": 2, "batch": {"size": 6, "environments": 3}})
        )
    with pytest.raises(RequestError, match="ToyGroups: none of its published splits is out of"):
        oodbench.shift("ToyGroups")
    assert set(oodbench.shift("ToyDomains", trials=1)["test_environments"]) == {"test"}


def test_figures_of_another_metric_say_which_and_have_its_values(tmp_path: Path) -> None:
    db = trained("ToyDomains", tmp_path / "toy.db")
    runs = oodbench.query(db, metric="worst_group_accuracy")
    with open_database(db, read_only=True) as database:
        figure = draw(database, "scatter", metric="worst_group_accuracy")
        boxes = draw(database, "box", metric="nll")
        with pytest.raises(RequestError, match="keep goes by ID validation accuracy"):
            draw(database, "box", metric="nll", keep="top")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "ID worst group accuracy"
    assert axes.get_ylabel() == "OOD worst group accuracy"
    drawn = [c for c in figure.findobj(PathCollection) if str(c.get_gid()).startswith("runs-")]
    points = [tuple(xy) for dots in drawn for xy in dots.get_offsets().tolist()]
    assert sorted(points) == sorted(zip(runs["id"], runs["ood"], strict=True))
    assert not any("chance" in text.get_text() for text in axes.texts)
    assert [a.get_xlabel() for a in boxes.axes[:2]] == ["ID nll", "OOD nll"]
    groups = trained("ToyGroups", tmp_path / "groups.db")
    with (
        open_database(groups, read_only=True) as database,
        pytest.raises(
            RequestError, match="Under subpopulation shift the worst group's accuracy is"
        ),
    ):
        draw(database, "scatter", metric="worst_group_accuracy")


def test_a_summary_needs_no_validation_examples(tmp_path: Path) -> None:
    db = trained("ToyUnvalidated", tmp_path / "toy.db")
    assert search_health(oodbench.query(db)).empty
    with pytest.raises(QueryError, match=r"rule \(--select\): ood_val\."):
        oodbench.query(db, select="id_val")
    assert oodbench.query(db, select="ood_val")["run"].notna().all()


def test_metrics_that_are_not_there_or_not_to_be_maximised(tmp_path: Path) -> None:
    db = trained("ToyDomains", tmp_path / "toy.db")
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acc_wgg'\. Did you mean 'acc_wg'"):
        oodbench.query(db, metric="acc_wgg")
    with pytest.raises(RequestError, match="nll is better if lower"):
        oodbench.query(db, metric="nll", select="id_val")
    with pytest.raises(QueryError, match="oracle cannot choose"):
        oodbench.query(db, select="oracle")


def test_the_fingerprint_hangs_on_published_examples_roles_and_groups() -> None:
    from dataclasses import replace

    data = toy("ToyDomains", ROLES, {})
    first, *others = data.published
    changes = [
        replace(first, role="id_test"),
        replace(first, groups=first.groups + 1),
        replace(first, split=Split(first.split.inputs, 1 - first.split.labels)),
    ]
    found = {replace(data, published=(one, *others)).fingerprint for one in changes}
    assert len(found | {data.fingerprint}) == 4
    assert toy("ToyDomains", ROLES, {}).fingerprint == data.fingerprint

"""Sweep files that extend others, and changes from the command line."""

from pathlib import Path

import pytest

from oodbench.errors import SweepError
from oodbench.sweep import load_sweep, load_sweeps

BASE = """
name: base
datasets: [{name: ColoredDigits, test_environments: [2]}]
algorithms: [erm, {name: irm, space: {penalty_weight: 10.0}}]
optimizers: [sgd, adam]
model: {name: mlp, width: 8, depth: 1}
search: {trials: 2}
train: {steps: 4, batch: {per_environment: 8}}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def test_an_extending_file_merges_keys_and_replaces_lists(base: Path) -> None:
    child = base.parent / "deeper" / "child.yaml"
    child.parent.mkdir()
    child.write_text(
        "extends: ../base.yaml\nname: child\noptimizers: [momentum]\ntrain: {steps: 9}\n"
    )
    spec, old = load_sweep(child), load_sweep(base)
    assert (spec.name, spec.train.steps, spec.search.trials) == ("child", 9, 2)
    assert [optimizer.name for optimizer in spec.optimizers] == ["momentum"]
    assert spec.train.batch == old.train.batch
    assert spec.algorithms == old.algorithms


def test_changes_reach_every_place_and_are_read_as_yaml(base: Path) -> None:
    changes = [
        "train.steps=100",
        "datasets.0.test_environments=each",
        "algorithms.1.space.penalty_weight={log: [1e1, 1e3]}",
        "optimizers=[adamw]",
        "search.seed=7",
        "model.width=16",
    ]
    spec = load_sweep(base, changes)
    assert spec.train.steps == 100
    assert spec.datasets[0].test_environments == "each"
    assert spec.algorithms[1].space == {"penalty_weight": {"log": [10.0, 1000.0]}}
    assert [optimizer.name for optimizer in spec.optimizers] == ["adamw"]
    assert (spec.search.seed, spec.model.options["width"]) == (7, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.steps", "A change is written key.key=value, but got 'train.steps'"),
        ("=3", "A change is written key.key=value"),
        ("datasets.7.name=x", "datasets.7.name is not in the sweep file"),
        ("name.first=x", "name.first is not in the sweep file"),
        ("train.steps=[", "is not YAML"),
        ("train.stpes=3", "unknown key 'stpes'. Did you mean 'steps'?"),
        ("train.steps=many", "needs a whole number, but got 'many'"),
    ],
)
def test_changes_that_lead_nowhere(base: Path, change: str, message: str) -> None:
    with pytest.raises(SweepError) as error:
        load_sweep(base, [change])
    assert message in str(error.value)


def test_extending_in_a_circle_or_nothing(base: Path) -> None:
    one, two = base.parent / "one.yaml", base.parent / "two.yaml"
    one.write_text("extends: two.yaml\n")
    two.write_text("extends: one.yaml\n")
    with pytest.raises(SweepError, match="extends itself"):
        load_sweep(one)
    one.write_text("extends: nowhere.yaml\n")
    with pytest.raises(SweepError, match="Cannot read the sweep file"):
        load_sweep(one)
    one.write_text("extends: [base.yaml]\n")
    with pytest.raises(SweepError, match="extends needs the path"):
        load_sweep(one)


def test_a_file_may_list_others(base: Path) -> None:
    folder = base.parent / "more"
    folder.mkdir()
    (folder / "second.yaml").write_text("extends: ../base.yaml\nname: second\n")
    both = base.parent / "both.yaml"
    both.write_text("sweeps: [base.yaml, more/second.yaml]")
    specs = load_sweeps(both, ["train.steps=7"])
    assert [(spec.name, spec.train.steps) for spec in specs] == [("base", 7), ("second", 7)]
    assert [spec.name for spec in load_sweeps(base)] == ["base"]
    with pytest.raises(SweepError, match=r"both\.yaml lists several sweeps; here one is needed"):
        load_sweep(both)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sweeps: []", "lists the paths of sweep files, and has no other key"),
        ("sweeps: base.yaml", "lists the paths of sweep files"),
        ("sweeps: [3]", "lists the paths of sweep files"),
        ("sweeps: [base.yaml]\nname: x", "and has no other key; .* the keys sweeps, name"),
        ("sweeps: [base.yaml, base.yaml]", "two of its sweeps have one name: base, base"),
        ("sweeps: [nothing.yaml]", r"Cannot read the sweep file .*nothing\.yaml"),
        ("sweeps: [list.yaml]", "lists several sweeps; here one is needed"),
    ],
)
def test_lists_that_cannot_be(base: Path, text: str, message: str) -> None:
    path = base.parent / "list.yaml"
    path.write_text(text)
    with pytest.raises(SweepError, match=message):
        load_sweeps(path)


def test_a_document_is_bounded(tmp_path: Path) -> None:
    bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for last, name in zip("abcdef", "bcdefg", strict=True):
        bomb.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]")
    nested = "name: " + "[" * 200 + "]" * 200
    for text, message in [
        ("\n".join(bomb), "more than 100,000 values or 50 levels"),
        (nested, "50 levels"),
        ("name: " + "[" * 20_000, "nested too deeply|not YAML"),
        ("x" * (2**20 + 1), "more than 1,048,576 characters"),
    ]:
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        with pytest.raises(SweepError, match=message) as caught:
            load_sweep(path)
        assert len(str(caught.value)) < 400
    with pytest.raises(SweepError, match="more than 1,048,576 characters"):
        load_sweep("/dev/zero")

"""An audit of real digits: trained, shown, and its target scored by a sweep."""

import json
from pathlib import Path

import numpy as np
import pytest

import oodbench
from oodbench.data import DATASETS, DatasetSpec
from oodbench.errors import RequestError, UnknownNameError
from oodbench.verbs.audited_models import Kind, kinds_for, trials_of

QUICK = {"models": 20, "shift_trials": 0}


def test_no_two_models_share_a_draw() -> None:
    kind = Kind({"name": "linear"}, 1, linear=True)
    trials = trials_of("RotatedDigits", {}, [0], kind, 12, 0, 0)[(0,)]
    assert len(trials) == 12
    assert len({trial.seed for trial in trials}) == 12
    assert len({trial.optimizer for trial in trials}) == 5


def test_kinds_of_models_follow_the_dataset() -> None:
    def names(spec: DatasetSpec, options: dict[str, object], model: str | None) -> list[object]:
        return [kind.model["name"] for kind in kinds_for(spec, options, model)]

    digits, pacs = DATASETS.get("RotatedDigits"), DATASETS.get("PACS")
    assert names(digits, {}, None) == ["linear", "mlp", "mlp"]
    assert names(digits, {}, "mnist_cnn") == ["linear", "mnist_cnn", "mnist_cnn"]
    assert names(pacs, {}, None) == ["efficientnet_lite0"] * 3
    assert names(pacs, {}, "resnet18") == ["resnet18"] * 3
    heads = kinds_for(pacs, {}, None)
    assert [kind.linear for kind in heads] == [True, False, False]
    assert all(kind.model["train"] == "head" for kind in heads)
    texts = kinds_for(DATASETS.get("Table"), {"encoder": "all-MiniLM-L6-v2"}, None)
    assert texts[0].model["encoder"] == "all-MiniLM-L6-v2"


def test_an_audit_of_colours_sees_that_agreement_lies(tmp_path: Path) -> None:
    """Colour agrees with the label in 85% of the training examples, and in 10% of the test ones.

    So models that follow it score .85 and .1, agree as well there as here, and look sound.
    """
    (found,) = oodbench.audit("ColoredDigits", [2], models=30, shift_trials=0, output=tmp_path)
    assert (found.dataset, found.models) == ("ColoredDigits", 30)
    assert found.test_environments == "2 (-90%)"
    assert max(found.points[0]) == pytest.approx(0.85, abs=0.03)
    assert found.agreement.verdict == "strong, and wrong here"
    assert found.agreement.bias.value > 0.4
    assert found.line_learned.correlation.high < 0
    assert found.duplicates["ID"].same == found.duplicates["OOD"].same == 0
    assert found.id_size.n == 359  # not its renderings in two environments
    plain = json.loads((tmp_path / "audit.json").read_text())
    assert plain[0]["agreement"]["verdict"] == found.agreement.verdict
    assert "Agreement looks sound" in (tmp_path / "audit.html").read_text()
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_audited_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="models must be between 15"):
        oodbench.audit("RotatedDigits", [0], models=5)
    with pytest.raises(RequestError, match="margin"):
        oodbench.audit("RotatedDigits", [0], margin=0)
    with pytest.raises(RequestError, match="shift_trials"):
        oodbench.audit("RotatedDigits", [0], shift_trials=-1)
    with pytest.raises(RequestError, match="different indices between 0 and 5"):
        oodbench.audit("RotatedDigits", [9])
    with pytest.raises(UnknownNameError, match="RotatedDigits"):
        oodbench.audit("RotatedDigit")
    with pytest.raises(UnknownNameError, match="option"):
        oodbench.audit("RotatedDigits", [0], options={"size": 3})
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RequestError, match="file"):
        oodbench.audit("RotatedDigits", [0], output=file)


def test_the_chosen_examples_are_a_target_that_sweeps_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = DATASETS.get("RotatedDigits").load({}, 0).numbered
    tested = base.environments[0].splits["test"]
    assert tested.examples is not None
    chosen = [int(number) for number in tested.examples[:50]]
    content = {
        "dataset": "RotatedDigits",
        "options": {},
        "source": base.source,
        "environment": "0°",
        "examples": chosen,
    }
    (tmp_path / "chosen.json").write_text(json.dumps(content))
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    sweep = {
        "name": "selected",
        "datasets": [{"name": "Selected", "file": "chosen.json"}],
        "algorithms": ["erm"],
        "optimizers": ["adam"],
        "model": "linear",
        "search": {"sampler": "random", "trials": 2},
        "train": {"steps": 20, "batch": {"per_environment": 8}, "evaluate_every": 20},
    }
    db = tmp_path / "a.db"
    oodbench.run_sweep(sweep, db, workers=1, progress=False)
    table = oodbench.query(db)
    (left,) = oodbench.predictions(db)
    assert set(table["n_ood[select]"]) == {50}
    for run, score in zip(table["run"], table["ood[select]"], strict=True):
        row = left.predicted[left.runs.index(run)]
        whole = (left.examples["environment"] == "0°").to_numpy()
        part = whole & left.examples["example"].isin(chosen).to_numpy()
        right = row == left.examples["label"].to_numpy()
        assert score == pytest.approx(np.mean(right[part]))
    assert (table["ood[0°]"] != table["ood[select]"]).any()


def test_the_files_of_a_choice_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    spec, file = DATASETS.get("Selected"), tmp_path / "a.json"
    right = {
        "dataset": "RotatedDigits",
        "options": {},
        "source": "digits",
        "environment": "0°",
        "examples": [1, 2],
    }
    for content, message in (
        ("{", "no JSON"),
        ("[]", "needs the keys"),
        (json.dumps({**right, "examples": ["a"]}), "numbers as examples"),
        (json.dumps({**right, "environment": "5°"}), "environment of RotatedDigits"),
        (json.dumps({**right, "dataset": "Camelyon17"}), "published splits"),
        (json.dumps({**right, "source": "other"}), "other files, or another data_seed"),
        (json.dumps({**right, "examples": [10**6]}), "none of them is a test example"),
    ):
        file.write_text(content)
        with pytest.raises(RequestError, match=message):
            spec.load({"file": "a.json"}, 0)
        file.unlink()
    with pytest.raises(RequestError, match="there is no file"):
        spec.load({"file": "a.json"}, 0)
    with pytest.raises(RequestError, match="needs file"):
        spec.load({}, 0)

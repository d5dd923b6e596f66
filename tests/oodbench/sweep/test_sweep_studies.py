"""The studies and trials that a sweep file means."""

from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from oodbench.data import Dataset
from oodbench.errors import RequestError
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.sweep import load_sweep, parse_sweep
from oodbench.sweep.plan import Plan, plan

Tiny = Callable[..., dict[str, Any]]


def planned(values: dict[str, Any]) -> Plan:
    return plan(parse_sweep(values))


def trials(values: dict[str, Any]) -> list[Trial]:
    return [trial for study in planned(values).studies for trial in study.trials]


def test_how_it_is_trained_is_part_of_a_trial(tiny: Tiny) -> None:
    base = tiny()["train"]
    plain = trials(tiny())
    changes: list[dict[str, Any]] = [
        {"schedule": "cosine"},
        {"warmup": 0.1},
        {"clip_norm": 1},
        {"label_smoothing": 0.1},
        {"balance": "classes"},
        {"average": {"swa": 0.5}},
        {"average": {"ema": 0.5}},
    ]
    for change in changes:
        changed = trials(tiny(train=base | change))
        for one, other in zip(plain, changed, strict=True):
            assert one.id != other.id
            assert one.cohort_key != other.cohort_key
            ((name, value),) = change.items()
            assert getattr(other, name) == value
    nothing = {"schedule": "constant", "warmup": 0, "clip_norm": 0, "label_smoothing": 0}
    nothing |= {"balance": "none"}
    assert [t.id for t in trials(tiny(train=base | nothing))] == [t.id for t in plain]


def test_words_among_the_hyperparameters_are_constants_unless_several_are_asked_for(
    tiny: Tiny,
) -> None:
    both = {"name": "sasam", "space": {"variant": {"choice": ["code", "transcription"]}}}
    found = trials(tiny(optimizers=["sasgd", both], search={"trials": 16}))
    variants = {
        o: {t.hparams["variant"] for t in found if t.optimizer == o} for o in ("sasgd", "sasam")
    }
    assert variants == {"sasgd": {"code"}, "sasam": {"code", "transcription"}}


def test_an_optimizer_of_pytorch_optimizer_is_asked_for_by_its_name(tiny: Tiny) -> None:
    pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is not installed")
    wider = {"name": "pytorch_optimizer.lion", "space": {"beta1": {"one_minus_log": [0.5, 0.99]}}}
    (study,) = planned(tiny(optimizers=[wider], search={"trials": 8})).studies
    values = [trial.hparams for trial in study.trials]
    assert study.facts["optimizer_kind"] == "adaptive"
    assert len({h["lr"] for h in values}) == len({h["beta1"] for h in values}) == 8
    assert {(h["beta2"], h["weight_decouple"]) for h in values} == {(0.99, True)}


def test_an_optimizer_twice_under_names_of_ones_own(tiny: Tiny) -> None:
    """Fixed against tuned: the same Adam, seeds and draws, but for what is fixed."""
    fixed = {"name": "adam(fixed)", "space": {"lr": 0.001}}
    runs = trials(tiny(algorithms=["erm"], optimizers=["adam", fixed]))
    tuned, held = ([t for t in runs if t.optimizer == name] for name in ("adam", "adam(fixed)"))
    assert len(tuned) == len(held) > 1
    assert {trial.hparams["lr"] for trial in held} == {0.001}
    assert len({trial.hparams["lr"] for trial in tuned}) == len(tuned)
    assert [t.seed for t in tuned] == [t.seed for t in held]
    assert {t.id for t in tuned}.isdisjoint(t.id for t in held)
    spec = OPTIMIZERS.get("adam(fixed)")
    assert (spec.name, spec.kind) == ("adam(fixed)", "adaptive")
    assert spec.build is OPTIMIZERS.get("adam").build


def test_each_method_of_distributing_an_optimizer_is_a_contestant(tiny: Tiny) -> None:
    palsgd = {"method": "palsgd", "replicas": 4, "sync_every": {"choice": [2, 4]}, "coasting": 3}
    own = {"name": "adam", "parallel": {"method": "ddp", "replicas": 2}, "space": {"eps": 1e-7}}
    values = tiny(optimizers=["sgd", own], parallel=["none", palsgd])
    plans = planned(values).studies
    names = ["sgd", "palsgd(sgd)x4", "ddp(adam)x2"]
    assert [plan.optimizer for plan in plans] == names
    plain, distributed, adam = (plan.trials[0] for plan in plans)
    assert (plain.parallel, plain.replicas) == ("", 1)
    assert plain in trials(tiny(optimizers=["sgd"]))  # no id changes beside replicas
    assert (distributed.parallel, distributed.replicas) == ("palsgd", 4)
    assert distributed.hparams["sync_every"] in (2, 4)
    assert distributed.hparams["coasting"] == 3
    assert distributed.hparams["outer"] == "nesterov"
    assert 0.1 <= distributed.hparams["outer_lr"] <= 1
    assert distributed.seed == plain.seed
    assert adam.hparams["eps"] == 1e-7
    assert len({trial.cohort_key for trial in (plain, distributed, adam)}) == 3
    by_name = {"name": "palsgd(sgd)x4", "space": {k: palsgd[k] for k in ("sync_every", "coasting")}}
    assert distributed in trials(tiny(optimizers=[by_name]))
    assert trials(tiny(parallel=[palsgd])) == trials(tiny(parallel=palsgd))
    assert [plan.facts["optimizer_kind"] for plan in plans] == 2 * ["non-adaptive"] + ["adaptive"]


def test_the_grid_has_a_study_for_each_combination(tiny: Tiny) -> None:
    digits = [
        {"name": "ColoredDigits", "test_environments": [0, 2]},
        {"name": "RotatedDigits", "test_environments": "each"},
    ]
    studies = planned(tiny(datasets=digits, algorithms=["erm", "irm"])).studies
    turns = [("ColoredDigits", (0, 2)), *(("RotatedDigits", (i,)) for i in range(6))]
    assert [(s.dataset, s.test_environments, s.algorithm, s.optimizer) for s in studies] == [
        (*turn, algorithm, optimizer)
        for turn in turns
        for algorithm in ("erm", "irm")
        for optimizer in ("sgd", "adam")
    ]
    assert len({study.id for study in studies}) == 7 * 2 * 2
    assert all(len(study.trials) == 2 for study in studies)


def test_the_same_file_means_the_same_trials_and_an_edited_one_more(tiny: Tiny) -> None:
    before = [trial.id for trial in trials(tiny())]
    assert [trial.id for trial in trials(tiny())] == before
    more = tiny(
        optimizers=["sgd", "adam", "rmsprop"],
        search={"trials": 5},
        seeds=2,
        algorithms=["irm", "erm"],
    )
    assert set(before) < {trial.id for trial in trials(more)}


def test_the_name_of_a_sweep_enters_its_studies_but_not_its_trials(tiny: Tiny) -> None:
    one, two = planned(tiny()).studies, planned(tiny(name="other")).studies
    assert [s.trials for s in one] == [s.trials for s in two]
    assert not {s.id for s in one} & {s.id for s in two}


def test_what_is_at_its_default_may_be_written_or_left_out(tiny: Tiny) -> None:
    digits = {"name": "ColoredDigits", "test_environments": [2], "label_noise": 0.25}
    model = {"name": "mlp", "width": 64, "depth": 2}
    spelt = tiny(datasets=[digits], model=model, data_seed=0, algorithms=[{"name": "erm"}])
    assert trials(spelt) == trials(tiny(model="mlp"))


def test_trial_i_has_one_training_seed_for_every_optimizer_and_algorithm(tiny: Tiny) -> None:
    studies = planned(tiny(algorithms=["erm", "irm"], search={"trials": 3})).studies
    seeds = {tuple(trial.seed for trial in study.trials) for study in studies}
    assert len(seeds) == 1
    assert len(set(seeds.pop())) == 3
    (other,) = planned(tiny(optimizers=["sgd"], search={"trials": 3, "seed": 1})).studies
    assert not {t.seed for t in other.trials} & {t.seed for t in studies[0].trials}


def test_three_seeds_repeat_each_configuration_three_times(tiny: Tiny) -> None:
    (study,) = planned(tiny(optimizers=["sgd"], seeds=3)).studies
    by_config: dict[str, list[Trial]] = {}
    for trial in study.trials:
        by_config.setdefault(trial.config_id, []).append(trial)
    assert [len(repeats) for repeats in by_config.values()] == [3, 3]
    for repeats in by_config.values():
        assert len({trial.seed for trial in repeats}) == 3
        assert len({str(dict(trial.hparams)) for trial in repeats}) == 1


def test_overrides_dataset_before_algorithm_and_key_by_key(tiny: Tiny) -> None:
    digits = {
        "name": "ColoredDigits",
        "test_environments": [2],
        "train": {"steps": 10, "evaluate_every": 5, "batch": {"size": 6}},
    }
    irm = {"name": "irm", "train": {"steps": 20, "batch": {"per_environment": 16}}}
    rest = [
        digits,
        {"name": "RotatedDigits", "test_environments": [0]},
    ]
    studies = planned(tiny(datasets=rest, algorithms=["erm", irm], optimizers=["sgd"])).studies
    settings = {
        (s.dataset, s.algorithm): (t.steps, t.evaluate_every, dict(t.batch))
        for s in studies
        for t in s.trials
    }
    assert settings == {
        ("ColoredDigits", "erm"): (10, 5, {"size": 6}),
        ("ColoredDigits", "irm"): (20, 5, {"per_environment": 16}),
        ("RotatedDigits", "erm"): (4, 2, {"per_environment": 8}),
        ("RotatedDigits", "irm"): (20, 2, {"per_environment": 16}),
    }


@pytest.mark.parametrize(
    ("batch", "examples_per_step"),
    [
        ({"per_environment": 16}, 2 * 16),
        ({"size": 50}, 50),
        ({"size": 48, "environments": 1}, 48),
    ],
)
@pytest.mark.parametrize("epochs", [1, 0.01, 2.5])
def test_epochs_are_passes_over_the_training_examples(
    tiny: Tiny,
    colored_digits: Dataset,
    batch: dict[str, int],
    examples_per_step: int,
    epochs: float,
) -> None:
    n = sum(len(colored_digits.environments[i].splits["train"]) for i in (0, 1))
    found = {t.steps for t in trials(tiny(train={"epochs": epochs, "batch": batch}))}
    assert found == {ceil(epochs * n / examples_per_step)}


def test_epochs_are_decimal_numbers(tiny: Tiny) -> None:
    """In binary, 1.1 * 10 is a little more than 11, which would make 12 steps of it."""
    train = parse_sweep(tiny(train={"epochs": 1.1, "batch": {"size": 1}})).train
    assert train.resolve_steps(10, 2, 1) == 11


def test_epochs_of_an_algorithm_displace_the_steps_of_the_sweep(tiny: Tiny) -> None:
    erm = {"name": "erm", "train": {"epochs": 0.001}}
    assert {t.steps for t in trials(tiny(algorithms=[erm]))} == {1}


def test_a_searched_batch_size_is_part_of_the_trial_and_not_a_hyperparameter(tiny: Tiny) -> None:
    batch = {"size": {"choice": [8, 16, 32]}, "environments": 2}
    found = trials(tiny(train={"steps": 4, "batch": batch}, search={"trials": 20}))
    assert {trial.batch["size"] for trial in found} == {8, 16, 32}
    assert all(trial.batch["environments"] == 2 for trial in found)
    assert not any("batch_size" in trial.hparams for trial in found)
    fixed = trials(tiny(search={"trials": 20}))
    assert [t.hparams for t in found] == [t.hparams for t in fixed]


def test_numbers_and_words_follow_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
name: no  # a string, as 'on', 'off' and 'yes' are
datasets: [{name: ColoredDigits, test_environments: [2]}]
algorithms: [erm]
optimizers: [{name: sgd, space: {lr: {log: [1e-3, 1]}, weight_decay: 1e-4}}]
model: mlp
search: {trials: 2}
train: {steps: 010, batch: {per_environment: 8}}
"""
    )
    spec = load_sweep(path)
    assert spec.name == "no"
    assert spec.train.steps == 10  # YAML 1.1 reads it as an octal number
    (study,) = spec.studies()
    assert study.definition["space"]["lr"] == {"log": [1e-3, 1.0]}
    assert {trial.hparams["weight_decay"] for trial in plan(spec).studies[0].trials} == {1e-4}


def test_a_hyperparameter_written_as_1_or_1_0_gives_the_same_trials(tiny: Tiny) -> None:
    def sgd(**space: Any) -> dict[str, Any]:
        return tiny(optimizers=[{"name": "sgd", "space": space}])

    assert trials(sgd(lr=1)) == trials(sgd(lr=1.0))
    one, two = planned(sgd(lr={"log": [1, 10]})), planned(sgd(lr={"log": [1.0, 10.0]}))
    assert [study.id for study in one.studies] == [study.id for study in two.studies]


def test_data_depend_on_the_data_seed_alone(tiny: Tiny) -> None:
    prints = [
        {t.fingerprint for t in trials(values)}
        for values in (tiny(), tiny(search={"trials": 2, "seed": 5}), tiny(data_seed=1))
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("batch", [{"per_environment": 4}, {"size": 4, "environments": 2}])
def test_batches_by_environment_balance_nothing_but_classes(tiny: Tiny, batch) -> None:
    train = tiny()["train"] | {"batch": batch, "balance": "environments"}
    with pytest.raises(RequestError, match=r"goes with batch: .size: n.+write balance: classes"):
        trials(tiny(train=train))

"""Restarts, optimizers that leave the stack, and the records that the loop writes."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from training_helpers import CPU, NAMES, make_trials, parameters, run_together, with_dropout

from oodbench.models import MODELS, ModelSpec
from oodbench.training import train
from oodbench.training.loop import Run
from oodbench.training.outcome import records_of
from oodbench.training.stack import can_stack

DECOUPLED = {"adamw", "adafactor", "muon", "schedule_free_adamw"}
CLASSES = {
    "sgd": "SGD",
    "momentum": "SGD",
    "nesterov": "SGD",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
}


@pytest.mark.parametrize(
    ("restart", "expected"),
    [("same", CLASSES), ("none", CLASSES), ("adam", dict.fromkeys(CLASSES, "Adam"))],
)
def test_the_optimizer_of_irm_at_its_last_step(colored64, restart, expected) -> None:
    trials = make_trials(6, "irm", algorithm_options={"restart": restart}, steps=12)
    run = Run(trials, colored64, CPU)
    first = {t.optimizer: type(o).__name__ for t, o in zip(trials, run.optimizers, strict=True)}
    run.train(lambda: None)
    last = {t.optimizer: type(o).__name__ for t, o in zip(trials, run.optimizers, strict=True)}
    assert first == CLASSES
    assert last == expected
    recorded = {r.trial.optimizer: r.provenance["optimizer_class"] for r in records_of(run)}
    assert {k: v.rsplit(".", 1)[1] for k, v in recorded.items()} == expected


def test_an_optimizer_without_decay_restarts_as_an_adam_without_it(colored64) -> None:
    options = {"restart": "adam"}
    (trial,) = make_trials(1, "irm", "rprop", algorithm_options=options, steps=10)
    hparams = {name: v for name, v in trial.hparams.items() if name != "weight_decay"}
    run = Run([replace(trial, hparams=hparams)], colored64, CPU)
    run.train(lambda: None)
    (group,) = run.optimizers[0].param_groups
    assert type(run.optimizers[0]).__name__ == "Adam"
    assert (group["lr"], group["weight_decay"]) == (trial.hparams["lr"], 0.0)


def test_nesterov_stays_nesterov_and_starts_with_no_momentum(colored64) -> None:
    trial = make_trials(1, "irm", "nesterov", hparams={"anneal_fraction": 0.5}, steps=10)[0]
    run = Run([trial], colored64, CPU)
    before = run.optimizers[0]
    for step in range(5):
        run.step(step)
    assert before.state
    run.optimizers[0] = after = run.build_optimizer(0, restarted=True)
    assert after.param_groups[0]["nesterov"]
    assert after.param_groups[0]["lr"] == trial.hparams["lr"]
    assert not after.state


HALVED = {"penalty_weight": 2.0, "anneal_fraction": 0.5, "weight_decay": 0.25}


@pytest.mark.parametrize("algorithm", ["irm", "vrex"])
@pytest.mark.parametrize("restart", ["same", "none", "adam"])
def test_decay_is_divided_with_the_loss_that_it_is_a_part_of(colored64, algorithm, restart) -> None:
    for rescale, halved in ((True, 0.125), (False, 0.25)):
        options = {"restart": restart, "rescale": rescale}
        settings = {"hparams": HALVED, "algorithm_options": options, "steps": 4}
        drawn = make_trials(len(NAMES), algorithm, **settings)
        trials = [trial for trial in drawn if trial.optimizer != "rprop"]  # it has none
        run = Run(trials, colored64, CPU)
        run.train(lambda: None)
        for trial, optimizer in zip(trials, run.optimizers, strict=True):
            decoupled = trial.optimizer in DECOUPLED and restart != "adam"
            decays = {g["weight_decay"] for g in optimizer.param_groups if "weight_decay" in g}
            assert decays == {0.25 if decoupled else halved}, trial.optimizer


@pytest.mark.parametrize("restart", ["same", "none"])
@pytest.mark.parametrize(
    ("name", "scaled", "by"),
    [("momentum", "lr", 1 / 50), ("adam", "eps", 50), ("adamw", "eps", 50)],
)
def test_a_loss_divided_is_a_learning_rate_divided_or_an_eps_multiplied(
    colored64, restart: str, name: str, scaled: str, by: float
) -> None:
    """All of the loss is divided from the first step on: by 50, the penalty's weight."""
    hparams = {"penalty_weight": 50.0, "anneal_fraction": 0.0, "lr": 0.01, "weight_decay": 0.1}
    options = {"hparams": hparams, "algorithm_options": {"restart": restart}}
    (trial,) = make_trials(1, "irm", name, **options)
    (other,) = make_trials(1, "irm", name, **options)
    other = replace(
        other,
        hparams={**other.hparams, scaled: other.hparams[scaled] * by},
        algorithm_options={"restart": restart, "rescale": False},
    )
    divided, whole = (parameters(run_together([t], colored64), 0) for t in (trial, other))
    torch.testing.assert_close(divided, whole, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["replacing", "confessing"])
@pytest.mark.parametrize(
    ("algorithm", "options"),
    [("erm", {}), ("irm", {"restart": "same"}), ("irm", {"restart": "adam"})],
)
def test_an_optimizer_that_is_not_in_place_is_trained_alone(
    colored64, plugged_in, name, algorithm, options
) -> None:
    hparams = {"lr": 0.01, "weight_decay": 0.0}
    restarts = {"adam": {"lr", "weight_decay"}}.get(options.get("restart"), set())
    settings = {"hparams": hparams, "algorithm_options": options, "evaluate_every": 40}
    odd, *rest = make_trials(3, algorithm, "sgd", **settings)
    twin = make_trials(1, algorithm, name, **settings)[0]
    twin = replace(twin, hparams={**twin.hparams, **{k: odd.hparams[k] for k in restarts}})
    records = train([twin, *rest], colored64)
    assert [r.trial for r in records] == [twin, *rest]
    assert [r.status for r in records] == ["completed"] * 3
    assert not records[0].provenance["stacked"]
    assert records[1].provenance["stacked"]
    # Alone, the odd one does what SGD, the same rule in place, does; its neighbours go on.
    expected = [train([trial], colored64)[0] for trial in (odd, *rest)]
    for record, alone in zip(records, expected, strict=True):
        assert record.measurements[:-1] == alone.measurements[:-1]
        assert record.measurements[-1].value == pytest.approx(alone.measurements[-1].value)


def test_models_with_dropout_train_alone_on_masks_of_their_own(colored64, plugged_in) -> None:
    MODELS.add(ModelSpec("dropping", with_dropout))
    trials = make_trials(2, optimizer="sgd", model="dropping", model_options={})
    once, again = train(trials, colored64), train(trials[::-1], colored64)[::-1]
    assert [r.provenance["stacked"] for r in once] == [False, False]
    assert [r.measurements for r in once] == [r.measurements for r in again]


def test_what_can_be_stacked() -> None:
    assert can_stack(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.GroupNorm(1, 2), nn.Dropout(0.0)))
    assert not can_stack(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)))
    assert not can_stack(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))


def test_a_record_holds_every_split_that_rules_read(colored64) -> None:
    (record,) = train(make_trials(1, evaluate_every=25), colored64)
    last = [m for m in record.measurements if m.step == 50]
    assert {(m.environment, m.role) for m in last if m.metric == "accuracy"} == {
        ("+90%", "id_val"),
        ("+90%", "id_test"),
        ("+80%", "id_val"),
        ("+80%", "id_test"),
        ("-90%", "oracle_val"),
        ("-90%", "ood_test"),
    }
    assert {m.n for m in last if m.split in ("val", "test")} == {359, 360}  # digits, not renderings
    (loss,) = (m for m in last if m.metric == "loss")
    assert (loss.role, loss.n) == ("train", 25)
    assert record.provenance["gradient_evaluations"] == 50
    assert record.provenance["examples_per_step"] == 32
    assert record.provenance["torch"] == torch.__version__


def test_the_recorded_loss_is_the_mean_over_the_steps_since_the_last_evaluation(colored64) -> None:
    trial = make_trials(1, steps=4, evaluate_every=2)[0]
    losses = [run_together([trial], colored64).measurements[0][i].value for i in (6, 13)]
    run = Run([trial], colored64, CPU)
    each = [run.step(step).item() for step in range(4)]
    assert losses == pytest.approx([(each[0] + each[1]) / 2, (each[2] + each[3]) / 2], rel=1e-6)


def test_a_step_follows_the_gradient_of_the_batch(colored64) -> None:
    """One SGD step in a stack against autograd on one module and the batch gathered by hand."""
    trials = make_trials(3, optimizer="sgd", hparams={"weight_decay": 0.0}, steps=1)
    run = Run(trials, colored64, CPU)
    before = [parameters(run, k) for k in range(3)]
    indices = run.batches.at(0)
    run.step(0)
    for k, trial in enumerate(trials):
        alone = Run([trial], colored64, CPU, stacked=False)
        rows = indices[k].flatten()
        logits = alone.models.predict(colored64.inputs[rows])[0]
        loss = nn.functional.cross_entropy(logits, colored64.labels[rows])
        gradient = torch.autograd.grad(loss, alone.models.parameters_of(0, False, [range(6)])[0])
        expected = before[k] - trial.hparams["lr"] * torch.cat([g.flatten() for g in gradient])
        torch.testing.assert_close(parameters(run, k), expected, rtol=1e-10, atol=1e-12)

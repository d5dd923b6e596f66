"""Parts of a model with learning rates of their own, frozen, or trained later."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_helpers import CPU, NAMES, make_trials, parameters, run_together

from oodbench.errors import RequestError
from oodbench.models import MODELS, ModelSpec
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.fine_tuning import FineTuning
from oodbench.records import Trial
from oodbench.training.checkpoints import restore, snapshot
from oodbench.training.groups import Layout
from oodbench.training.loop import Run, build_module
from oodbench.training.stack import can_stack

WIDTH, STEPS, LINEAR = 16, 12, 5
# What sets its own learning rate takes no other; see test_sweep_fine_tuning.
SCALED = [name for name in NAMES if not OPTIMIZERS.get(name).sets_lr]


def tuned(optimizer: str, asked: dict[str, Any], n: int = 1, **changes: Any) -> list[Trial]:
    settings: dict[str, Any] = {"steps": STEPS, "evaluate_every": STEPS, **changes}
    trials = make_trials(n, optimizer=optimizer, **settings)
    return [replace(trial, hparams={**trial.hparams, **asked}) for trial in trials]


def named(run: Run, model: int = 0) -> dict[str, Tensor]:
    return run.models.state(model)


def by_hand(
    trial: Trial,
    data: Any,
    optimizer_at: Callable[[int, dict[str, nn.Parameter]], torch.optim.Optimizer | None],
) -> dict[str, Tensor]:
    """A plain loop on the trial's batches; ``optimizer_at`` gives a new optimizer or None."""
    module = build_module(trial, data.shape, data.num_classes).double()
    batches = Run([trial], data, CPU).batches
    own: dict[str, nn.Parameter] = dict(module.named_parameters())
    optimizer = None
    for step in range(trial.steps):
        optimizer = optimizer_at(step, own) or optimizer
        assert optimizer is not None
        rows = batches.at(step)[0].flatten()
        module.zero_grad()
        nn.functional.cross_entropy(module(data.inputs[rows]), data.labels[rows]).backward()
        optimizer.step()
    return {name: p.detach() for name, p in own.items()}


def check_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-10, atol=1e-12)


def lr(trial: Trial) -> float:
    return float(trial.hparams["lr"])


@pytest.mark.parametrize("stacked", [True, False])
def test_layer_decay_and_the_heads_rate_are_learning_rates_of_groups(
    colored64, stacked: bool
) -> None:
    """An MLP of three layers: the head 3 lr, the hidden layer .5 lr, the first .25 lr."""
    (trial,) = tuned("momentum", {"layer_decay": 0.5, "head_lr": 3.0, "lr": 0.1})

    def optimizer_at(step: int, own: dict[str, nn.Parameter]) -> torch.optim.Optimizer | None:
        if step:
            return None
        groups = [
            {"params": [own[f"{layer}.weight"], own[f"{layer}.bias"]], "lr": 0.1 * scale}
            for layer, scale in ((1, 0.25), (3, 0.5), (5, 3.0))
        ]
        rest = {k: trial.hparams[k] for k in ("momentum", "weight_decay")}
        return torch.optim.SGD(groups, **rest)  # type: ignore[arg-type]

    found = named(run_together([trial], colored64, stacked))
    check_close(found, by_hand(trial, colored64, optimizer_at))


@pytest.mark.parametrize("stacked", [True, False])
def test_what_is_not_to_decay_does_not(colored64, stacked: bool) -> None:
    (trial,) = tuned("adamw", {"no_decay": "norm+bias", "weight_decay": 0.3, "lr": 0.05})
    h = trial.hparams

    def optimizer_at(step: int, own: dict[str, nn.Parameter]) -> torch.optim.Optimizer | None:
        biases = [p for name, p in own.items() if name.endswith("bias")]
        weights = [p for name, p in own.items() if name.endswith("weight")]
        groups: Any = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
        betas = (h["beta1"], h["beta2"])
        args: Any = {"lr": lr(trial), "betas": betas, "eps": h["eps"], "weight_decay": 0.3}
        return None if step else torch.optim.AdamW(groups, **args)

    found = named(run_together([trial], colored64, stacked))
    check_close(found, by_hand(trial, colored64, optimizer_at))


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("rate", [None, 0.02])
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_linear_steps_and_the_others_are_two_plain_loops(
    colored64, name: str, rate: float | None, stacked: bool
) -> None:
    """LP-FT: an optimizer of the head, at its own rate in ERM++, then a new one of the whole."""
    asked: dict[str, Any] = {"linear_steps": LINEAR} | ({"linear_lr": rate} if rate else {})
    (trial,) = tuned(name, asked)

    def optimizer_at(step: int, own: dict[str, nn.Parameter]) -> torch.optim.Optimizer | None:
        if step == 0:
            first = {**trial.hparams, **({"lr": rate} if rate else {})}
            return OPTIMIZERS.get(name)([own["5.weight"], own["5.bias"]], first)
        return OPTIMIZERS.get(name)(list(own.values()), trial.hparams) if step == LINEAR else None

    found = named(run_together([trial], colored64, stacked))
    check_close(found, by_hand(trial, colored64, optimizer_at))


def test_in_linear_steps_every_group_has_their_rate_whatever_it_has_later(colored64) -> None:
    asked = {"linear_steps": LINEAR, "linear_lr": 0.02, "head_lr": 3.0, "no_decay": "bias"}
    (trial,) = tuned("muon", {**asked, "adamw_lr": 0.01})
    run = Run([trial], colored64, CPU)
    assert [group["lr"] for group in run.optimizers[0].param_groups] == [0.02, 0.02]
    run.enter(LINEAR)
    later = [group["lr"] for group in run.optimizers[0].param_groups]
    assert sorted({rate for rate in later if rate != lr(trial)}) == pytest.approx([0.01, 0.03])


def test_linear_steps_of_irm_keep_its_restart_and_its_divided_decay(colored64) -> None:
    """IRM divides its loss, and so a coupled decay, from its own step on; here before ours."""
    settings: Any = {"algorithm": "irm", "hparams": {"penalty_weight": 100.0, "weight_decay": 1e-2}}
    (trial,) = make_trials(1, optimizer="sgd", steps=20, evaluate_every=20, **settings)
    hparams = {**trial.hparams, "anneal_fraction": 0.2, "penalty_weight": 100.0, "linear_steps": 9}
    run = run_together([replace(trial, hparams=hparams)], colored64)
    decay = run.optimizers[0].param_groups[0]["weight_decay"]
    assert decay == pytest.approx(float(hparams["weight_decay"]) / 100)


def test_parts_join_from_the_head_down() -> None:
    """Four layers and a head, all trained from step 8 of 20 on: one more every second step."""
    module = MODELS.get("mlp").build((4,), 3, width=5, depth=4)
    for at in (8, 0.4):
        layout = Layout(module, {"unfreeze_at": at}, 20)
        assert layout.since == [8, 8, 6, 6, 4, 4, 2, 2, 0, 0]
        assert {step: sorted(on) for step, on in layout.stages.items()} == {
            start: list(range(8 - start, 10)) for start in (8, 6, 4, 2, 0)
        }


@pytest.mark.parametrize("stacked", [True, False])
def test_gradual_unfreezing_goes_on_with_what_an_optimizer_knows(colored64, stacked: bool) -> None:
    (trial,) = tuned("adam", {"unfreeze_at": 6})

    def optimizer_at(step: int, own: dict[str, nn.Parameter]) -> torch.optim.Optimizer | None:
        for layer, start in ((1, 6), (3, 3)):
            for name in (f"{layer}.weight", f"{layer}.bias"):
                own[name].requires_grad_(step >= start)
        return None if step else OPTIMIZERS.get("adam")(list(own.values()), trial.hparams)

    found = named(run_together([trial], colored64, stacked))
    check_close(found, by_hand(trial, colored64, optimizer_at))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("freeze", "still", "stacked"),
    [
        ("stem", {"1.weight", "1.bias"}, True),
        ("stem", {"1.weight", "1.bias"}, False),
        ("block 0", {"3.weight", "3.bias"}, True),
        ("embedding+blocks 0-0", {"1.weight", "1.bias", "3.weight", "3.bias"}, True),
        ("*.bias", {"1.bias", "3.bias", "5.bias"}, True),
    ],
)
def test_what_is_frozen_stays_bit_for_bit(
    colored64, name: str, freeze: str, still: set[str], stacked: bool
) -> None:
    hparams = {"weight_decay": 0.1, "momentum": 0.9}
    (trial,) = tuned(name, {"freeze": freeze}, hparams=hparams)
    before = named(Run([trial], colored64, CPU, stacked))
    after = named(run_together([trial], colored64, stacked))
    assert {key for key in before if torch.equal(before[key], after[key])} == still


OPTIONS: dict[str, tuple[dict[str, Any], Sequence[str]]] = {
    "layer_decay": ({"layer_decay": 0.6}, SCALED),
    "head_lr": ({"head_lr": 2.0}, SCALED),
    "no_decay": ({"no_decay": "bias"}, SCALED),
    "decay of all kinds": ({"layer_decay": 0.6, "head_lr": 2.0, "no_decay": "norm+bias"}, SCALED),
    "freeze": ({"freeze": "stem"}, NAMES),
    "freeze a pattern": ({"freeze": "*.bias"}, NAMES),
    "unfreeze_at": ({"unfreeze_at": 0.5}, SCALED),
    "linear_steps": ({"linear_steps": LINEAR}, NAMES),
    "linear_lr": ({"linear_steps": LINEAR, "linear_lr": 0.02}, SCALED),
    "accumulate": ({"accumulate": 4}, NAMES),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_stack_equals_single_runs(colored64, option: str) -> None:
    asked, names = OPTIONS[option]
    trials = [
        replace(trial, hparams={**trial.hparams, **asked}, seed=seed)
        for seed, name in enumerate(names)
        for trial in tuned(name, {})
    ]
    stack = run_together(trials, colored64)
    for model, trial in enumerate(trials):
        alone = run_together([trial], colored64, stacked=False)
        expected = parameters(alone, 0)
        found = torch.cat([named(stack, model)[name].flatten() for name in named(alone)])
        assert (found - expected).abs().max() < 1e-10, trial.optimizer
        assert alone.measurements[0][:-1] == stack.measurements[model][:-1]


def test_models_of_a_stack_may_decay_by_different_factors(colored64) -> None:
    trials = [t for x in (1.0, 0.3) for t in tuned("sgd", {"layer_decay": x})]
    assert trials[0].cohort_key == trials[1].cohort_key
    stack = run_together(trials, colored64)
    for model, trial in enumerate(trials):
        check_close(
            {k: named(stack, model)[k] for k in named(run_together([trial], colored64, False))},
            named(run_together([trial], colored64, stacked=False)),
        )
    plain = run_together(tuned("sgd", {}), colored64)
    check_close({k: named(stack, 0)[k] for k in named(plain)}, named(plain))


def test_a_group_of_a_stack_is_one_flat_view(colored64) -> None:
    (trial,) = tuned("adamw", {"layer_decay": 0.5, "no_decay": "bias"})
    groups = Run([trial], colored64, CPU).optimizers[0].param_groups
    assert [len(group["params"]) for group in groups] == [1] * 6
    assert {g["params"][0].ndim for g in groups} == {1}
    scales = [group["lr"] / lr(trial) for group in groups]
    assert scales == pytest.approx([0.25, 0.5, 1.0, 0.25, 0.5, 1.0])
    assert [g["weight_decay"] > 0 for g in groups] == [False] * 3 + [True] * 3


def with_batchnorm(input_shape: Any, num_classes: int) -> nn.Module:
    size = input_shape[0] * input_shape[1] * input_shape[2]
    layers = [nn.Flatten(), nn.Linear(size, 8), nn.BatchNorm1d(8), nn.ReLU()]
    middle = [nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()]
    return nn.Sequential(*layers, *middle, nn.Linear(8, num_classes))


def test_batchnorm_of_what_is_not_trained_keeps_its_statistics(
    colored64, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(MODELS)
    monkeypatch.setitem(MODELS._things, "normed", ModelSpec("normed", with_batchnorm))
    asked: Any = {"model": "normed", "model_options": {}}
    for hparams, still in (
        ({"freeze": "stem"}, {"2.running_mean", "2.running_var", "2.num_batches_tracked"}),
        ({"linear_steps": LINEAR}, set()),
    ):
        (trial,) = tuned("momentum", hparams, **asked)
        before = named(Run([trial], colored64, CPU, stacked=False))
        run = run_together([trial], colored64, stacked=False)
        after = named(run)
        buffers = {name for name in before if "running" in name or "num_batches" in name}
        assert {name for name in buffers if torch.equal(before[name], after[name])} == still
        assert after["5.num_batches_tracked"] == STEPS - hparams.get("linear_steps", 0)


@pytest.mark.parametrize("stop", [3, LINEAR, 9])
@pytest.mark.parametrize(
    "asked", [{"linear_steps": LINEAR}, {"unfreeze_at": 9}, {"layer_decay": 0.5, "freeze": "stem"}]
)
def test_a_run_goes_on_from_any_stage(colored64, asked: dict[str, Any], stop: int) -> None:
    (trial,) = tuned("adam", asked)
    whole = run_together([trial], colored64, stacked=False)
    first = Run([trial], colored64, CPU, stacked=False)

    class StopError(Exception):
        pass

    def tick() -> None:
        if first.done == stop:
            raise StopError

    with pytest.raises(StopError):
        first.train(tick)
    second = Run([trial], colored64, CPU, stacked=False)
    restore(second, snapshot(first))
    second.train(lambda: None)
    assert all(torch.equal(a, named(second)[name]) for name, a in named(whole).items())


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "resnet18"])
def test_groups_are_those_of_timms_param_groups_layer_decay(name: str) -> None:
    timm: Any = pytest.importorskip("timm")
    optim: Any = pytest.importorskip("timm.optim")
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=5)
    theirs = optim.param_groups_layer_decay(model, weight_decay=0.1, layer_decay=0.7)
    names = {p: name for name, p in model.named_parameters()}
    expected = {
        (frozenset(names[p] for p in group["params"]), group["weight_decay"] > 0): group["lr_scale"]
        for group in theirs
    }
    hparams = {"layer_decay": 0.7, "no_decay": "norm+bias"}
    layout = Layout(model, hparams, 10)
    found = {
        (frozenset(layout.parts[i].name for i in group.positions), group.decays): group.lr_scale
        for group in layout.groups(FineTuning.of(hparams), hidden_apart=False, step=0)
    }
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(expected[key]) for key in found)


@pytest.mark.parametrize(
    ("hparams", "model", "told"),
    [
        ({"freeze": "stem"}, "linear", "freeze: stem matches no parameter; the model has head"),
        ({"freeze": "blocks 3-5"}, "mlp", "the model has stem, block 0, head"),
        ({"freeze": "blocks 0-1"}, "mlp", "blocks 0-1 names blocks that are not there; the model"),
        ({"freeze": "*.norm.*"}, "mlp", "matches no parameter"),
        ({"freeze": "*"}, "mlp", "leaves nothing to train in the first step"),
        ({"freeze": "head", "linear_steps": 2}, "mlp", "leaves nothing to train in the first step"),
        ({"layer_decay": 0.5}, "linear", "needs a model with parts below its head"),
        ({"linear_steps": 10}, "mlp", "leaves none of the 10 steps"),
        ({"unfreeze_at": 12}, "mlp", "leaves none of the 10 steps"),
        ({"unfreeze_at": 2, "linear_steps": 2}, "mlp", "write one"),
    ],
)
def test_what_a_model_cannot_do_is_refused(hparams: Any, model: str, told: str) -> None:
    spec = MODELS.get(model)
    with pytest.raises(RequestError, match=told.replace("*", r"\*")):
        Layout(spec.build((4,), 3, **spec.defaults), hparams, 10)


def test_without_options_nothing_is_laid_out_anew(colored64, tmp_path: Path) -> None:
    run = Run(make_trials(1, optimizer="adam"), colored64, CPU)
    assert run.layout.order == list(range(6))
    (group,) = run.optimizers[0].param_groups
    assert "lr_scale" not in group
    assert [p.numel() for p in group["params"]] == [len(parameters(run, 0))]


def test_a_model_that_freezes_some_of_itself_is_in_no_stack() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    assert can_stack(module)
    module[0].requires_grad_(False)
    assert not can_stack(module)

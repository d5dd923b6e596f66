"""BatchNorm's statistics: of a step's first pass, and of averaged weights, against plain loops."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.swa_utils import update_bn
from training_helpers import CPU, NAMES, make_trials, run_together

from oodbench.models import MODELS
from oodbench.models.layers import with_frozen_batchnorm
from oodbench.models.spec import ModelSpec
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.seeds import seed_of
from oodbench.training import Tensors
from oodbench.training.inputs.batches import Batches
from oodbench.training.loop import Run, build_module
from oodbench.training.statistics import BATCHES

HPARAMS = {"lr": 0.05, "rho": 0.1, "t0": 1.0, "momentum": 0.9}
STATISTICS = ("2.running_mean", "2.running_var", "2.num_batches_tracked")


def with_norm(input_shape, num_classes: int, dropout: float = 0.0) -> nn.Module:
    layers = nn.Flatten(), nn.Linear(torch.Size(input_shape).numel(), 6), nn.BatchNorm1d(6)
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.ReLU(), nn.Linear(6, num_classes))


@pytest.fixture(autouse=True)
def normed(plugged_in) -> None:
    MODELS.add(ModelSpec("normed", with_norm))
    MODELS.add(ModelSpec("dropping", lambda *shape: with_norm(*shape, dropout=0.5)))
    MODELS.add(ModelSpec("frozen", lambda *shape: with_frozen_batchnorm(with_norm(*shape))))


def trial(optimizer: str, **changes: Any) -> Trial:
    if optimizer not in NAMES and "(" not in optimizer:
        pytest.skip("the package schedulefree is not installed")
    settings = {"steps": 12, "evaluate_every": 12, "model": "normed", "model_options": {}}
    hparams = HPARAMS | changes.pop("hparams", {})
    return make_trials(1, optimizer=optimizer, hparams=hparams, **(settings | changes))[0]


def plain(asked: Trial, data: Tensors) -> tuple[nn.Module, Batches]:
    module = build_module(asked, data.shape, data.num_classes).double()
    return module, Batches(data.sizes, asked.batch, [asked.seed], CPU)


def loss_at(module: Any, data: Tensors, indices: Tensor) -> Tensor:
    at = indices.flatten()
    return nn.functional.cross_entropy(module(data.inputs[at]), data.labels[at])


@pytest.mark.parametrize("name", ["sam", "sam_adam", "sasgd", "sasam"])
def test_only_the_first_pass_of_a_step_counts(colored64, name: str) -> None:
    """The plain loop's later passes get copies of the statistics, which are then thrown away."""
    asked = trial(name)
    run = run_together([asked], colored64, stacked=False)
    module, batches = plain(asked, colored64)
    optimizer = OPTIMIZERS.get(name)(module.parameters(), asked.hparams)

    def untouched(inputs: Tensor) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        return functional_call(module, buffers, (inputs,))

    for step in range(asked.steps):
        indices, passes = batches.at(step), iter([module])

        def closure(indices=indices, passes=passes) -> Tensor:
            optimizer.zero_grad()
            loss = loss_at(next(passes, untouched), colored64, indices)
            loss.backward()
            return loss

        optimizer.step(closure)
    assert int(module[2].num_batches_tracked) == asked.steps
    for key, expected in module.state_dict().items():
        torch.testing.assert_close(run.models.state(0)[key], expected, rtol=1e-9, atol=1e-10)


def test_on_replicas_too(colored64) -> None:
    asked = trial("ddp(sam)x2", parallel="ddp", replicas=2)
    run = run_together([asked], colored64, stacked=False)
    taken = [int(run.models.state(r)["2.num_batches_tracked"]) for r in range(2)]
    assert taken == [asked.steps, asked.steps]


def updated(weights: dict[str, Tensor], asked: Trial, data: Tensors) -> dict[str, Tensor]:
    """These weights, with the statistics that torch's own function computes for them."""
    module, _ = plain(asked, data)
    module.load_state_dict(weights)
    drawn = Batches(data.sizes, asked.batch, [seed_of(asked.seed, "batchnorm")], CPU)
    update_bn([data.inputs[drawn.at(i).flatten()] for i in range(BATCHES)], module)
    return module.state_dict()


AVERAGING = [
    ("schedule_free_sgd", {}),
    ("schedule_free_adamw", {}),
    ("asgd", {}),
    ("adam", {"average": {"ema": 0.8}}),
    ("momentum", {"average": {"swa": 0.25}}),
    ("ddp(schedule_free_sgd)x2", {"parallel": "ddp", "replicas": 2}),
    ("local_sgd(sgd)x2", {"parallel": "local_sgd", "replicas": 2, "average": {"ema": 0.8}}),
]


@pytest.mark.parametrize(("name", "changes"), AVERAGING)
def test_averaged_weights_have_statistics_of_their_own(colored64, name, changes) -> None:
    asked = trial(name, **changes)
    run = run_together([asked], colored64, stacked=False)
    found, trained = run.weights(0), run.models.state(0)
    expected = updated(found, asked, colored64)
    for key in STATISTICS:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-9, atol=1e-11)
    assert int(found[STATISTICS[2]]) == BATCHES
    assert int(trained[STATISTICS[2]]) == asked.steps
    assert (found[STATISTICS[0]] - trained[STATISTICS[0]]).abs().max() > 1e-4
    module, _ = plain(asked, colored64)
    module.load_state_dict(expected)
    for split, said in zip(colored64.evaluation, run.measurements[0], strict=False):
        with torch.no_grad():
            right = module.eval()(split.inputs[: len(split.labels)]).argmax(1) == split.labels
        assert said.value == pytest.approx(right.double().mean().item(), abs=1e-12)


@pytest.mark.parametrize("model", ["normed", "dropping"])
@pytest.mark.parametrize(("name", "changes"), AVERAGING)
def test_how_often_they_are_evaluated_changes_nothing(colored64, name, changes, model) -> None:
    runs = []
    for every in (1, 12):
        asked = replace(trial(name, model=model, **changes), evaluate_every=every)
        torch.manual_seed(0)
        runs.append(run_together([asked], colored64, stacked=False))
    states = [(run.models.state(0), run.weights(0)) for run in runs]
    for often, once in zip(*states, strict=True):
        assert all(torch.equal(often[key], once[key]) for key in often)


def test_the_training_batches_are_others(colored64) -> None:
    asked = trial("adam", average={"ema": 0.8})
    run = Run([asked], colored64, CPU, stacked=False)
    assert not torch.equal(run.statistics._batches.at(0), run.batches.at(0))


@pytest.mark.parametrize(
    ("model", "average", "taken"), [("frozen", {"ema": 0.8}, 0), ("normed", {"swa": 0.9}, 6)]
)
def test_statistics_stay_where_nothing_is_averaged(colored64, model, average, taken) -> None:
    """Frozen ones always do; and before SWA begins the weights are those that were trained."""
    asked = trial("adam", model=model, average=average)
    run = Run([asked], colored64, CPU, stacked=False)
    run.trials = [replace(asked, steps=6, evaluate_every=6)]
    run.train(lambda: None)
    norm = "body.2" if model == "frozen" else "2"
    assert int(run.weights(0)[f"{norm}.num_batches_tracked"]) == taken


def test_momentum_is_left_as_it_was(colored64) -> None:
    run = run_together([trial("adam", average={"ema": 0.8})], colored64, stacked=False)
    before = copy.deepcopy(run.models.state(0))
    run.weights(0)
    (norm,) = run.models.norms()
    assert norm.momentum == 0.1
    assert all(torch.equal(value, before[key]) for key, value in run.models.state(0).items())


@pytest.mark.parametrize("changes", [{}, {"parallel": "ddp", "replicas": 2}])
def test_of_a_frozen_part_they_stay(colored64, changes: dict) -> None:
    """Also of the mean of replicas, which is a model of its own."""
    name = "ddp(adam)x2" if changes else "adam"
    asked = trial(name, average={"ema": 0.8}, **changes)
    asked = replace(asked, hparams={**asked.hparams, "freeze": "2.*+*[13].*"})
    run = run_together([asked], colored64, stacked=False)
    assert int(run.weights(0)[STATISTICS[2]]) == 0


def test_a_part_that_is_trained_later_gets_them_then(colored64) -> None:
    asked = trial("adam", average={"ema": 0.8})
    asked = replace(asked, hparams={**asked.hparams, "linear_steps": 6}, evaluate_every=6)
    run = Run([asked], colored64, CPU, stacked=False)
    taken = []
    measure = run.measure

    def noted(*arguments: Any) -> None:
        taken.append(int(run.weights(0)[STATISTICS[2]]))
        measure(*arguments)

    run.measure = noted
    run.train(lambda: None)
    assert taken == [0, BATCHES]

"""Trials on replicas, simulated, against plain loops; tolerances are for float64."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from training_helpers import CPU, make_trials, parameters, run_together

from oodbench.models import MODELS
from oodbench.models.spec import ModelSpec
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.seeds import seed_of, stream
from oodbench.training import Saving, Tensors, train
from oodbench.training.inputs.batches import Batches
from oodbench.training.loop import Run, build_module
from oodbench.training.outcome import records_of
from oodbench.training.weights import read_weights
from oodbench.workers.trainer import Trainer
from oodbench.workers.worker_settings import WorkerSettings

SETTINGS = {
    "lr": 0.05,
    "sync_every": 6,
    "sync_warmup": 5,
    "outer_lr": 0.7,
    "probability": 0.3,
    "mixing": 0.8,
}
METHODS = ["ddp", "local_sgd", "diloco", "palsgd"]


def trial(method: str, inner: str = "sgd", replicas: int = 4, seed: int = 0, **changes) -> Trial:
    """A trial of 40 steps; what is not in ``SETTINGS`` or ``hparams`` is as it is by default."""
    hparams = SETTINGS | {"weight_decay": 1e-4} | changes.pop("hparams", {})
    name = f"{method}({inner})x{replicas}"
    settings = {"steps": 40, "evaluate_every": 20, "parallel": method, "replicas": replicas}
    (made,) = make_trials(1, optimizer=name, hparams=hparams, **(settings | changes))
    return replace(made, seed=seed)


def simulated(trials: list[Trial], data: Tensors) -> Run:
    run = Run(trials, data, CPU)
    run.train(lambda: None)
    assert not run.broken
    return run


def rows(run: Run, number: int = 0) -> torch.Tensor:
    return run.models.vectors()[0][run.rows_of[number]]


def mean(run: Run, number: int = 0) -> torch.Tensor:
    return torch.cat([value.flatten() for value in run.weights(number).values()])


def by_hand(trial: Trial, data: Tensors) -> torch.Tensor:
    """The (K, P) weights that plain modules and a plain loop come to; outer Nesterov by formula."""
    weights = [nn.utils.parameters_to_vector(m.parameters()) for m in modules_by_hand(trial, data)]
    return torch.stack(weights).detach()


def modules_by_hand(trial: Trial, data: Tensors) -> list[nn.Module]:
    """The replicas; BatchNorm's statistics are each one's own, unless they are to be set back."""
    h, k = trial.hparams, trial.replicas
    local = trial.parallel != "ddp"
    warmup = h["sync_warmup"] if local else trial.steps
    p = h.get("probability", 0.0)
    modules = [build_module(trial, data.shape, data.num_classes).double() for _ in range(k)]
    spec = OPTIMIZERS.get(trial.optimizer)
    optimizers = [spec(list(module.parameters()), dict(h)) for module in modules]
    seeds = [seed_of(trial.seed, "replica", r) for r in range(k)]
    batches = [Batches(data.sizes, trial.batch, [seed], CPU) for seed in seeds]
    coins = [stream(trial.seed, "coins", r, 0).random(64) < p for r in range(k)]
    anchor = [q.detach().clone() for q in modules[0].parameters()]
    momentum = [torch.zeros_like(z) for z in anchor]
    for step in range(trial.steps):
        resting = [step > warmup and bool(coin[step]) for coin in coins]
        for r, module in enumerate(modules):
            if resting[r]:
                continue
            rows = batches[r].at(step)[0].flatten()
            module.zero_grad()
            nn.functional.cross_entropy(module(data.inputs[rows]), data.labels[rows]).backward()
        if step < warmup:
            for same in zip(*(m.parameters() for m in modules), strict=True):
                average = sum(q.grad for q in same) / k
                for q in same:
                    q.grad = average.clone()
        for module, optimizer, rests in zip(modules, optimizers, resting, strict=True):
            lr = optimizer.param_groups[0]["lr"]
            if rests:
                with torch.no_grad():
                    for q, z in zip(module.parameters(), anchor, strict=True):
                        q -= lr * h["mixing"] / p * (q - z)
            else:
                optimizer.param_groups[0]["lr"] = lr / (1 - p) if step >= warmup else lr
                optimizer.step()
                optimizer.param_groups[0]["lr"] = lr
        if step + 1 == warmup:
            anchor = [q.detach().clone() for q in modules[0].parameters()]
            statistics = [[b.clone() for b in m.buffers()] for m in modules]
        if step >= warmup and (step + 1 - warmup) % h["sync_every"] == 0:
            with torch.no_grad():
                for i, same in enumerate(zip(*(m.parameters() for m in modules), strict=True)):
                    if trial.parallel == "local_sgd":
                        anchor[i] = sum(same) / k
                    else:
                        d = sum(anchor[i] - q for q in same) / k
                        momentum[i] = 0.9 * momentum[i] + d
                        anchor[i] = anchor[i] - h["outer_lr"] * (d + 0.9 * momentum[i])
                    for q in same:
                        q.copy_(anchor[i])
            if h.get("batchnorm") == "reset":
                for module, own in zip(modules, statistics, strict=True):
                    for buffer, value in zip(module.buffers(), own, strict=True):
                        buffer.copy_(value)
    return modules


@pytest.mark.parametrize("inner", ["sgd", "adam"])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_what_a_plain_loop_of_modules_makes(colored64, method, inner) -> None:
    hparams = {"lr": 0.01} if inner == "adam" else {}
    asked = trial(method, inner, replicas=3, hparams=hparams)
    run = simulated([asked], colored64)
    torch.testing.assert_close(rows(run), by_hand(asked, colored64), rtol=0, atol=1e-10)
    # 5 + floor(35 / 6) vectors were averaged; at the last step the replicas are apart again
    assert run.replicas.replicas[0].all_reduces == (40 if method == "ddp" else 10)
    assert (rows(run).std(0).max() < 1e-12) == (method == "ddp")


def test_ddp_is_sgd_on_a_batch_that_is_so_many_times_larger(colored64) -> None:
    asked = trial("ddp", "momentum", clip_norm=1.0, schedule="cosine")
    run = simulated([asked], colored64)
    alone = Run([replace(asked, optimizer="momentum", parallel="", replicas=1)], colored64, CPU)

    class Larger:
        def at(self, step: int) -> torch.Tensor:
            return torch.cat(list(run.batches.at(step)), dim=1).unsqueeze(0)

    alone.batches = Larger()
    alone.train(lambda: None)
    torch.testing.assert_close(mean(run), parameters(alone, 0), rtol=0, atol=1e-11)


def test_local_sgd_that_agrees_after_every_step_is_ddp(colored64) -> None:
    local = trial("local_sgd", hparams={"sync_every": 1, "sync_warmup": 0})
    together = [simulated([t], colored64) for t in (local, trial("ddp"))]
    torch.testing.assert_close(mean(together[0]), mean(together[1]), rtol=0, atol=1e-12)


def test_diloco_with_outer_sgd_at_rate_1_is_local_sgd(colored64) -> None:
    outer = {"outer": "sgd", "outer_lr": 1.0}
    for inner in ("momentum", "adam"):
        diloco = trial("diloco", inner, hparams=outer | {"lr": 0.01})
        local = trial("local_sgd", inner, hparams={"lr": 0.01})
        assert torch.equal(*(rows(simulated([t], colored64)) for t in (diloco, local)))


def test_palsgd_without_pseudo_steps_is_diloco(colored64) -> None:
    palsgd = trial("palsgd", "adam", hparams={"probability": 0.0, "lr": 0.01})
    diloco = trial("diloco", "adam", hparams={"lr": 0.01})
    assert torch.equal(*(rows(simulated([t], colored64)) for t in (palsgd, diloco)))


@pytest.mark.parametrize("option", [{"scope": "first_tensor"}, {"coins": "shared"},
                                    {"sync_phase": "H-1"}, {"coasting": 3},
                                    {"inner_state": "average"}, {"outer": "adam"}])  # fmt: skip
def test_options_change_what_is_trained(colored64, option) -> None:
    asked = trial("palsgd", "adam", hparams={"lr": 0.01, **option})
    changed = simulated([asked], colored64)
    assert torch.isfinite(mean(changed)).all()
    usual = simulated([trial("palsgd", "adam", hparams={"lr": 0.01})], colored64)
    assert not torch.allclose(mean(changed), mean(usual), atol=1e-6)


def test_what_it_costs_is_counted(colored64) -> None:
    for method in METHODS:
        asked = trial(method)
        run = simulated([asked], colored64)
        (record,) = records_of(run)
        cost, p = record.provenance["parallel"], mean(run).numel()
        gradients = record.provenance["gradient_evaluations"]
        assert gradients + cost["pseudo_steps"] == 4 * 40
        assert (cost["pseudo_steps"] > 0) == (method == "palsgd")
        assert cost["samples"] == gradients * record.provenance["examples_per_step"]
        assert record.provenance["examples_per_step"] == 32
        assert cost["all_reduces"] == run.replicas.replicas[0].settings.all_reduces(40)
        assert cost["bytes"] == cost["all_reduces"] * p * 8
        losses = [m for m in record.measurements if m.metric == "loss"]
        assert [m.step for m in losses] == [20, 40]
        assert sum(m.n for m in losses) == gradients


def test_neighbours_and_evaluations_do_not_matter(colored64) -> None:
    trials = [
        trial("palsgd", "sgd"),
        trial("palsgd", "adam", seed=1, hparams={"lr": 0.01}),
        trial("palsgd", "momentum", seed=2),
    ]
    together = simulated(trials, colored64)
    for number, one in enumerate(trials):
        alone = simulated([one], colored64)
        torch.testing.assert_close(rows(together, number), rows(alone), rtol=0, atol=1e-12)
        assert alone.measurements[0][:-1] == together.measurements[number][:-1]
    often = simulated([replace(trials[0], evaluate_every=7)], colored64)
    assert torch.equal(rows(often), rows(simulated(trials[:1], colored64)))


def test_what_is_evaluated_and_kept_is_the_mean_of_the_replicas(colored64, tmp_path) -> None:
    asked = trial("diloco", hparams={"sync_every": 100})  # at the end all replicas are apart
    saving = Saving(tmp_path, weights={asked.id: {"last", "best_id_val"}})
    (record,) = train([asked], colored64, saving=saving)
    run = simulated([asked], colored64)
    kept = {item["checkpoint"]: item for item in record.provenance["weights"]}
    state, _ = read_weights(tmp_path / "weights" / kept["last"]["file"])
    module = build_module(asked, colored64.shape, colored64.num_classes).double()
    module.load_state_dict(state)
    weights = nn.utils.parameters_to_vector(module.parameters()).detach()
    torch.testing.assert_close(weights, rows(run).mean(0), rtol=0, atol=1e-14)
    split = colored64.evaluation[0]
    logits = module(torch.as_tensor(split.inputs[0 : len(split.labels)]))
    right = (logits.argmax(-1) == split.labels).double().mean().item()
    (found,) = (
        m.value
        for m in record.measurements
        if (m.step, m.environment, m.split, m.metric)
        == (40, split.environment, split.split, "accuracy")
    )
    assert found == pytest.approx(right, abs=1e-12)


def test_one_replica_that_diverges_ends_its_trial_alone(colored64) -> None:
    wild = trial("diloco", hparams={"lr": 1e300})
    fine = trial("diloco", seed=1)
    bad, good = train([wild, fine], colored64)
    assert (bad.status, good.status) == ("diverged", "completed")
    assert 1 < int(bad.reason.split("at step ")[1].split()[0]) < 40
    alone = records_of(simulated([fine], colored64))[0]
    assert good.measurements[:-1] == alone.measurements[:-1]


def test_other_algorithms_and_optimizers_that_look_twice(colored64) -> None:
    for algorithm, inner in (("irm", "sgd"), ("group_dro", "sgd"), ("erm", "sam")):
        asked = trial("palsgd", inner, algorithm=algorithm, replicas=2)
        (record,) = train([asked], colored64)
        assert record.status == "completed"
        gradients = record.provenance["gradient_evaluations"]
        each = 2 if inner == "sam" else 1
        assert gradients == each * (2 * 40 - record.provenance["parallel"]["pseudo_steps"])


def with_batch_norm(input_shape, num_classes: int) -> nn.Module:
    size = torch.Size(input_shape).numel()
    parts = nn.Linear(size, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, num_classes)
    return nn.Sequential(nn.Flatten(), *parts)


@pytest.mark.parametrize("batchnorm", ["average", "local", "reset"])
@pytest.mark.parametrize("method", ["local_sgd", "palsgd"])
def test_batch_norm_side_by_side(colored64, monkeypatch, method: str, batchnorm: str) -> None:
    monkeypatch.setitem(MODELS._things, "normed", ModelSpec("normed", with_batch_norm))
    changes = {"hparams": {"batchnorm": batchnorm}, "model": "normed", "model_options": {}}
    asked = trial(method, replicas=3, **changes)
    run = Run([asked], colored64, CPU, stacked=False)
    run.train(lambda: None)
    modules = modules_by_hand(asked, colored64)
    weights = torch.stack([nn.utils.parameters_to_vector(m.parameters()) for m in modules])
    torch.testing.assert_close(rows(run), weights.detach(), rtol=0, atol=1e-10)
    norms = [module[2] for module in modules]
    for name in ("running_mean", "running_var"):
        own = torch.stack([getattr(norm, name) for norm in norms])
        for r, row in enumerate(own):
            found = run.models.state(r)[f"2.{name}"]
            torch.testing.assert_close(found, row, rtol=0, atol=1e-10)
        evaluated = run.weights(0)[f"2.{name}"]
        expected = own.mean(0) if batchnorm == "average" else own[0]
        torch.testing.assert_close(evaluated, expected, rtol=0, atol=1e-10)
    taken = [int(run.models.state(r)["2.num_batches_tracked"]) for r in range(3)]
    assert taken == [int(norm.num_batches_tracked) for norm in norms]
    assert (max(taken) < 40) == (method == "palsgd" or batchnorm == "reset")


def with_dropout(input_shape, num_classes: int) -> nn.Module:
    size = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(size, num_classes))


def test_each_replica_has_dropout_of_its_own(colored64, monkeypatch) -> None:
    monkeypatch.setitem(MODELS._things, "dropping", ModelSpec("dropping", with_dropout))
    monkeypatch.setattr("oodbench.workers.trainer.tensors_for", lambda *_: colored64)
    asked = trial("ddp", replicas=2, model="dropping", model_options={})
    before = torch.get_rng_state()
    run = Run([asked], colored64, CPU, stacked=False)
    run.train(lambda: None)
    assert torch.equal(torch.get_rng_state(), before)
    modules = [build_module(asked, colored64.shape, colored64.num_classes) for _ in range(2)]
    modules = [module.double() for module in modules]
    optimizers = [torch.optim.SGD(m.parameters(), 0.05, weight_decay=1e-4) for m in modules]
    seeds = [seed_of(asked.seed, "replica", r) for r in range(2)]
    batches = [Batches(colored64.sizes, asked.batch, [s], CPU) for s in seeds]
    states = []
    for r in range(2):
        torch.manual_seed(seed_of(asked.seed, "layers", r))
        states.append(torch.get_rng_state())
    for step in range(40):
        for r, module in enumerate(modules):
            torch.set_rng_state(states[r])
            at = batches[r].at(step)[0].flatten()
            module.zero_grad()
            logits = module(colored64.inputs[at])
            nn.functional.cross_entropy(logits, colored64.labels[at]).backward()
            states[r] = torch.get_rng_state()
        for same in zip(*(m.parameters() for m in modules), strict=True):
            average = (same[0].grad + same[1].grad) / 2
            for q in same:
                q.grad = average.clone()
        for optimizer in optimizers:
            optimizer.step()
    weights = torch.stack([nn.utils.parameters_to_vector(m.parameters()) for m in modules])
    torch.testing.assert_close(rows(run), weights.detach(), rtol=0, atol=1e-10)
    (record,) = Trainer(CPU, WorkerSettings(stack=4)).train(
        [asked], lambda: None
    )  # chosen by itself
    assert (record.status, record.provenance["stacked"]) == ("completed", False)


def test_what_cannot_be_simulated_fails_with_its_reason(colored64, monkeypatch) -> None:
    monkeypatch.setattr("oodbench.workers.trainer.tensors_for", lambda *_: colored64)
    far = trial("palsgd", hparams={"lr": 0.4})
    risen = trial("palsgd", hparams={"lr": 0.4}, schedule="linear", steps=400, evaluate_every=400)
    fine = trial("palsgd", seed=1)
    trainer = Trainer(CPU, WorkerSettings(stack=4))
    bad, good = trainer.train([far, fine], lambda: None)
    assert (bad.status, good.status) == ("failed", "completed")
    assert "c = lr * mixing / probability = 0.4 * 0.8 / 0.3 = 1.07" in bad.reason
    (record,) = trainer.train([risen], lambda: None)
    assert record.status == "failed"  # its rate is still too high at the first pseudo-step


def test_plain_runs_are_as_they_were(colored64) -> None:
    (plain,) = make_trials(1, optimizer="adam")
    assert "parallel" not in records_of(run_together([plain], colored64))[0].provenance

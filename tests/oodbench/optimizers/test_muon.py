"""Muon against its author's update in NumPy; what of a model gets it, and what gets AdamW."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim._muon import _zeropower_via_newtonschulz
from training_helpers import CPU, make_trials, run_together

from oodbench.models import MODELS
from oodbench.models.parts import parts
from oodbench.optimizers import OPTIMIZERS, sam_of
from oodbench.optimizers.rules.muon import Muon, orthogonal
from oodbench.training.groups import Layout
from oodbench.training.loop import Run
from oodbench.training.replicas.methods import moments_of

HPARAMS = {"lr": 0.02, "adamw_lr": 0.003, "momentum": 0.95, "weight_decay": 0.1}
SHAPES = {"wide": (4, 6), "tall": (6, 4), "convolution": (20, 2, 3, 3), "bias": (6,)}
BFLOAT16 = 0.03
"""What rounding the iterations to bfloat16 changes, of a matrix whose singular values are near 1 or
of the way that weights go."""


def parameters(dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = {n: torch.randn(s, generator=generator, dtype=dtype) for n, s in SHAPES.items()}
    return {name: p.requires_grad_() for name, p in drawn.items()}


def gradients(ps: dict[str, torch.Tensor], steps: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in ps.items()}
        for _ in range(steps)
    ]


def take(optimizer: torch.optim.Optimizer, ps: dict[str, torch.Tensor], steps: int = 5) -> None:
    for drawn in gradients(ps, steps):
        for name, p in ps.items():
            p.grad = drawn[name].clone()
        optimizer.step()


def differs(one: torch.Tensor, other: torch.Tensor, name: str) -> float:
    """How far apart two ways end, as a share of the way."""
    way = one - parameters(torch.float32)[name]
    return ((one - other).norm() / way.norm()).item()


def newton_schulz(matrix: np.ndarray) -> np.ndarray:
    """The author's ``zeropower_via_newtonschulz5``, without bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (np.sqrt((x**2).sum()) + 1e-7)
    for _ in range(5):
        product = x @ x.T
        x = a * x + (b * product + c * product @ product) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def by_hand(w: np.ndarray, drawn: list[np.ndarray]) -> np.ndarray:
    """The author's ``muon_update`` and step, on a flattened matrix."""
    shape, momentum = w.shape, np.zeros_like(w)
    for g in drawn:
        momentum = momentum + 0.05 * (g - momentum)
        update = (0.05 * g + 0.95 * momentum).reshape(len(w), -1)
        scale = max(1, update.shape[0] / update.shape[1]) ** 0.5
        w = w * (1 - 0.02 * 0.1)
        w = w - 0.02 * scale * newton_schulz(update).reshape(shape)
    return w


@pytest.mark.parametrize("name", ["wide", "tall", "convolution"])
def test_matrices_and_convolutions_take_its_authors_step(name: str) -> None:
    ps = parameters()
    drawn = [one[name].numpy() for one in gradients(ps, 5)]
    expected = by_hand(ps[name].detach().numpy().copy(), drawn)
    take(OPTIMIZERS.get("muon")(list(ps.values()), HPARAMS), ps)
    np.testing.assert_allclose(ps[name].detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_the_rest_takes_adamws_step_at_its_own_rate() -> None:
    ours, theirs = parameters(), parameters()
    take(OPTIMIZERS.get("muon")(list(ours.values()), HPARAMS), ours)
    settings: Any = {"lr": 0.003, "betas": (0.9, 0.95), "weight_decay": 0.1}
    take(torch.optim.AdamW([theirs["bias"]], **settings), theirs)
    torch.testing.assert_close(ours["bias"], theirs["bias"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (7, 7)])
def test_it_makes_orthogonal_what_torch_does(shape: tuple[int, int]) -> None:
    """Singular values end between 0.68 and 1.14 or so, its vectors are the matrix's."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    found = orthogonal(matrix)
    theirs = _zeropower_via_newtonschulz(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7).float()
    torch.testing.assert_close(found, theirs, rtol=0, atol=BFLOAT16)
    values = torch.linalg.svdvals(found)
    assert 0.6 < values.min() <= values.max() < 1.3
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ found @ vh.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), rtol=0, atol=1e-5)


def test_torchs_muon_takes_the_same_steps_to_bfloat16() -> None:
    """torch's takes matrices alone."""
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    both = {name: theirs[name] for name in ("wide", "tall")}
    take(OPTIMIZERS.get("muon")(list(ours.values()), HPARAMS), ours)
    settings: Any = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.1}
    optimizer = torch.optim.Muon(list(both.values()), adjust_lr_fn="original", **settings)
    take(optimizer, theirs)
    assert all(differs(ours[name], theirs[name], name) < BFLOAT16 for name in both)


def test_pytorch_optimizers_muon_takes_the_same_steps_to_bfloat16() -> None:
    pytest.importorskip("pytorch_optimizer")
    spec = OPTIMIZERS.get("pytorch_optimizer.muon")
    hparams = {name: what.values[0] for name, what in spec.space.items() if hasattr(what, "values")}
    hparams |= {
        "lr": 0.02,
        "momentum": 0.95,
        "weight_decay": 0.1,
        "adamw_lr": 0.003,
        "adamw_eps": 1e-8,
    }
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    take(OPTIMIZERS.get("muon")(list(ours.values()), HPARAMS), ours)
    take(spec(list(theirs.values()), {**hparams, "adamw_wd": 0.1}), theirs)
    assert all(differs(ours[name], theirs[name], name) < BFLOAT16 for name in SHAPES)
    assert differs(ours["bias"], theirs["bias"], "bias") < 1e-5


def with_muon(run: Run) -> set[int]:
    """Places of the parameters that Muon steps on."""
    groups = run.optimizers[0].param_groups
    mine = {p.data_ptr() for group in groups if group["hidden"] for p in group["params"]}
    assert {group["lr"] for group in groups if group["hidden"]} <= {HPARAMS["lr"]}
    assert {group["lr"] for group in groups if not group["hidden"]} == {HPARAMS["adamw_lr"]}
    views = run.models.parameters_of(0, False, [range(len(run.layout.parts))])[0]
    return {i for i, view in enumerate(views) if view.data_ptr() in mine}


@pytest.mark.parametrize("stacked", [True, False])
def test_of_an_mlp_it_is_the_layers_between(colored64, stacked: bool) -> None:
    options = {"width": 16, "depth": 3}
    (trial,) = make_trials(1, optimizer="muon", hparams=HPARAMS, model_options=options)
    run = Run([trial], colored64, CPU, stacked)
    names = [part.name for part in run.layout.parts]
    found = [names[i] for i in sorted(with_muon(run))]
    layers = [name for name in names if name.endswith("weight")]
    assert found == layers[1:-1]
    assert len(found) == 2


def test_of_a_resnet_it_is_nearly_all() -> None:
    module = MODELS.get("resnet18").build((3, 32, 32), 4, **network(pretrained=False))
    layout = Layout(module, {}, 1)
    hidden = {part.name for part in parts(module) if part.hidden}
    for name, p in module.named_parameters():
        inside = p.ndim == 4 and not name.endswith("body.conv1.weight")
        assert (name in hidden) == inside, name
    counts = {name: p.numel() for name, p in module.named_parameters()}
    assert sum(counts[name] for name in hidden) > 0.998 * sum(counts.values())
    assert len(layout.parts) == len(counts)


def network(**changes: Any) -> dict[str, Any]:
    return {**MODELS.get("resnet18").defaults, "freeze_bn": False, **changes}


def test_a_head_alone_has_nothing_for_it(colored64) -> None:
    """Its users leave heads to AdamW, so a linear model is AdamW's."""
    settings = {"model": "linear", "model_options": {}, "steps": 5, "evaluate_every": 5}
    (trial,) = make_trials(1, optimizer="muon", hparams=HPARAMS, **settings)
    run = run_together([trial], colored64, stacked=False)
    assert not with_muon(run)
    module: Any = run.models
    assert isinstance(module._module, nn.Module)


@pytest.mark.parametrize("missing", ["matrices", "bias"])
def test_one_of_the_two_may_have_nothing_to_do(missing: str) -> None:
    kept = ["bias"] if missing == "matrices" else ["wide", "convolution"]
    ps = {name: p for name, p in parameters().items() if name in kept}
    before = deepcopy(ps)
    take(OPTIMIZERS.get("muon")(list(ps.values()), HPARAMS), ps)
    assert all(not torch.equal(p, before[n]) for n, p in ps.items())


def test_its_state_can_be_saved_and_its_learning_rates_changed() -> None:
    ours, again = parameters(), parameters()
    optimizer = OPTIMIZERS.get("muon")(list(ours.values()), HPARAMS)
    take(optimizer, ours)
    resumed = OPTIMIZERS.get("muon")(list(again.values()), HPARAMS)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    for name, p in again.items():
        p.data.copy_(ours[name].data)
    for one, ps in ((optimizer, ours), (resumed, again)):
        for group in one.param_groups:
            group["lr"] = 0.5
        before = deepcopy(ps)
        take(one, ps, steps=1)
        for name in ("bias", "wide", "convolution"):
            assert (ps[name] - before[name]).abs().max() > 0.1
    assert all(torch.equal(ours[n], again[n]) for n in ours)


def test_what_it_remembers_can_be_averaged_over_replicas() -> None:
    ps = parameters()
    optimizer = OPTIMIZERS.get("muon")(list(ps.values()), HPARAMS)
    take(optimizer, ps)
    remembered = [moment.shape for moment in moments_of(optimizer)]
    assert remembered == [ps[n].shape for n in ("wide", "tall", "convolution", "bias", "bias")]


def test_around_it_sam_sees_the_same_parts() -> None:
    spec = sam_of(OPTIMIZERS.get("muon"), "sam_muon")
    assert spec.hidden_apart
    ps, others = parameters(), parameters()
    shares = [{"params": [ps["wide"]], "hidden": True}, {"params": [ps["tall"]], "hidden": False}]
    optimizer = spec(shares, HPARAMS | {"rho": 0.0})

    def closure() -> torch.Tensor:
        for name in ("wide", "tall"):
            ps[name].grad = gradients(ps, 1)[0][name]
        return torch.zeros(())

    optimizer.step(closure)
    for name, kind, lr in (("wide", Muon, 0.02), ("tall", torch.optim.AdamW, 0.003)):
        own: Any = {} if kind is Muon else {"betas": (0.9, 0.95)}
        others[name].grad = gradients(others, 1)[0][name]
        kind([others[name]], lr=lr, weight_decay=0.1, **own).step()
        torch.testing.assert_close(ps[name], others[name], rtol=1e-10, atol=1e-12)

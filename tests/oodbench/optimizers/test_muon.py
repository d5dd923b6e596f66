"""Muon for matrices and AdamW for the rest are torch's own, and take the same learning rate."""

from copy import deepcopy

import pytest
import torch

from oodbench.optimizers import OPTIMIZERS

HPARAMS = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
SHAPES = {"matrix": (6, 4), "bias": (6,), "convolution": (2, 3, 2, 2)}


def parameters() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {n: torch.randn(s, generator=generator).requires_grad_() for n, s in SHAPES.items()}


def take(optimizers: list, ps: dict[str, torch.Tensor], steps: int = 4) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for p in ps.values():
            p.grad = torch.randn(p.shape, generator=generator)
        for optimizer in optimizers:
            optimizer.step()


def test_each_parameter_gets_its_own_optimizer() -> None:
    ours, theirs = parameters(), parameters()
    take([OPTIMIZERS.get("muon")(list(ours.values()), HPARAMS)], ours)
    both = {"lr": 0.02, "weight_decay": 0.1}
    muon = torch.optim.Muon(
        [theirs["matrix"]], momentum=0.9, adjust_lr_fn="match_rms_adamw", **both
    )
    rest = [theirs["bias"], theirs["convolution"]]
    take([muon, torch.optim.AdamW(rest, **both)], theirs)
    assert torch.equal(ours["matrix"], theirs["matrix"])
    for name in ("bias", "convolution"):
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-7)


def test_a_step_is_nearly_orthogonal_whatever_the_gradient() -> None:
    """Newton-Schulz leaves singular values between 0.68 and 1.14 or so, times 0.2 sqrt(6) lr."""
    w = parameters()["matrix"]
    before = w.detach().clone()
    optimizer = OPTIMIZERS.get("muon")([w], HPARAMS | {"weight_decay": 0.0})
    w.grad = 1000 * torch.randn(w.shape, generator=torch.Generator().manual_seed(2))
    optimizer.step()
    values = torch.linalg.svdvals(w.detach() - before) / (0.02 * 0.2 * 6**0.5)
    assert 0.6 < values.min() <= values.max() < 1.3


@pytest.mark.parametrize("missing", ["matrix", "bias"])
def test_one_of_the_two_may_have_nothing_to_do(missing: str) -> None:
    ps = {n: p for n, p in parameters().items() if n not in (missing, "convolution")}
    before = deepcopy(ps)
    take([OPTIMIZERS.get("muon")(list(ps.values()), HPARAMS)], ps)
    assert all(not torch.equal(p, before[n]) for n, p in ps.items())


def test_its_state_can_be_saved_and_its_learning_rate_changed() -> None:
    ours, again = parameters(), parameters()
    optimizer = OPTIMIZERS.get("muon")(list(ours.values()), HPARAMS)
    take([optimizer], ours)
    resumed = OPTIMIZERS.get("muon")(list(again.values()), HPARAMS)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    for name, p in again.items():
        p.data.copy_(ours[name].data)
    for one, ps in ((optimizer, ours), (resumed, again)):
        for group in one.param_groups:
            group["lr"] = 0.5
        before = deepcopy(ps)
        take([one], ps, steps=1)
        assert (ps["bias"] - before["bias"]).abs().max() > 0.1
    assert all(torch.equal(ours[n], again[n]) for n in ours)

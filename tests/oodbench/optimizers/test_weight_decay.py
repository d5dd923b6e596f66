"""Which weight decay is a part of the loss, found out by steps: then the gradient may have it."""

from collections.abc import Generator
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from oodbench.optimizers import OPTIMIZERS, OptimizerSpec
from oodbench.optimizers.pytorch_optimizer import PREFIX, REFUSED
from oodbench.spaces import Choice
from oodbench.training.fast.stepping import stepper

DECAY = 0.1
OURS = [spec.name for spec in OPTIMIZERS if spec.installed and "weight_decay" in spec.space]
IN_FLOAT32 = {"fadam", "flashadamw"}
FOR_MATRICES_OF_ITS_OWN = {"lorarite"}
EITHER = {"asgd", "sgdp", "sgdw"}
"""Decoupled decay of a plain gradient step: the two are the same step."""
BY_NORM = {"dadaptsgd", "lars"}
"""How long a step is goes by the gradient without decay."""
LATER = {"radam", "schedulefreeradam", "prodigy"}
"""They hardly move in the first steps."""


def packaged() -> list[str]:
    if find_spec("pytorch_optimizer") is None:
        return []
    from pytorch_optimizer import get_supported_optimizers

    left_out = {*REFUSED, *IN_FLOAT32, *FOR_MATRICES_OF_ITS_OWN, *EITHER, *BY_NORM, *LATER}
    names = [PREFIX + name for name in get_supported_optimizers() if name not in left_out]
    return [name for name in names if "weight_decay" in OPTIMIZERS.get(name).space]


def hparams_of(spec: OptimizerSpec) -> dict[str, Any]:
    """The middle of each range; SAM without a radius, so that its second gradient is its first."""
    values = {n: r.values[0] if isinstance(r, Choice) else r.at(0.5) for n, r in spec.space.items()}
    return values | ({"rho": 0.0} if "rho" in values else {})


def trained(spec: OptimizerSpec, decay: float, in_the_gradient: float) -> torch.Tensor:
    """Parameters after a few steps, with decay by the optimizer and added to the gradient."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 5), (5,)]
    draw = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes * 2]
    parameters = [value.clone().requires_grad_() for value in draw[:2]]
    optimizer = spec(parameters, {**hparams_of(spec), "weight_decay": decay})

    def differentiate() -> None:
        for p, slope in zip(parameters, draw[2:], strict=True):
            p.grad = slope * (1 + p.detach() ** 2) + in_the_gradient * p.detach()

    take = stepper(optimizer)
    for _ in range(4):
        differentiate()
        with torch.no_grad():
            passes = take()
            while isinstance(passes, Generator) and next(passes, passes) is None:
                differentiate()
    return torch.cat([p.detach().flatten() for p in parameters])


@pytest.mark.parametrize("name", [*OURS, *packaged()])
def test_coupled_decay_is_decay_in_the_gradient(name: str) -> None:
    spec = OPTIMIZERS.get(name)
    if name == "sasam":  # its first gradient, too, would have the decay
        assert spec.couples_decay(hparams_of(spec))
        return
    own, without = trained(spec, DECAY, 0.0), trained(spec, 0.0, 0.0)
    difference = (own - trained(spec, 0.0, DECAY)).abs().max()
    moved = (own - without).abs().max()
    assert moved > 0
    assert (difference < 1e-6 * moved) == spec.couples_decay(hparams_of(spec))


def test_a_trial_may_ask_for_the_other() -> None:
    pytest.importorskip("pytorch_optimizer", reason="pytorch-optimizer is not installed")
    lion, adan = (OPTIMIZERS.get(PREFIX + name) for name in ("lion", "adan"))
    for decouple in (False, True):
        assert lion.couples_decay({"weight_decouple": decouple}) is not decouple
        assert not adan.couples_decay({"weight_decouple": decouple})


def test_whatever_has_no_decay_has_none_to_divide() -> None:
    assert not OPTIMIZERS.get("rprop").couples_decay({})

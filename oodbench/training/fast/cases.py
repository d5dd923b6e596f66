"""Optimizers as cases of one update, each with numbers of its own.

For the weights w of a model, their gradient, and two moments m and v, which begin at zero:

    g  =  gradient + decay w
    w  <- shrink w
    m  <- keep_m m + new_m g
    v  <- max(keep_v v + new_v g^2, (of_abs |g| + floor)^2)
    w  <- w + (of_m m + of_g g) / (sqrt(v) + eps)

The rules are those of ``torch.optim``, whose notation the functions below keep.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import optim

Values = NDArray[np.float64]
"""(n,) one for each model."""
NEUTRAL = {
    "decay": 0.0,
    "shrink": 1.0,
    "keep_m": 0.0,
    "new_m": 1.0,
    "keep_v": 0.0,
    "new_v": 0.0,
    "of_abs": 0.0,
    "floor": 0.0,
    "of_m": 0.0,
    "of_g": 0.0,
    "eps": 1.0,
}
"""The numbers, in the order in which they are stored, as they are where a rule says nothing."""
HUGE = 1e30
"""Beside it the second moment does not count."""


@dataclass(frozen=True)
class Case:
    """How an optimizer is a case of the update.

    Attributes:
        numbers: From its hyperparameters and the number of this step, from 1 on, to its numbers.
        hparams: The names of those in its group.
        m, v: What its state calls the moments; empty where it has none.
        rooted: Whether it keeps the root of v.
        needs_none: Settings with which it would be another rule.
    """

    numbers: Callable[[Mapping[str, Values], Values], Mapping[str, Values]]
    hparams: tuple[str, ...]
    m: str = ""
    v: str = ""
    rooted: bool = False
    needs_none: tuple[str, ...] = ()


def sgd(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """SGD with momentum, Nesterov's, or neither. The buffer begins as zero times a gradient."""
    lr, momentum, nesterov = h["lr"], h["momentum"], h["nesterov"]
    return {
        "decay": h["weight_decay"],
        "keep_m": momentum,
        "of_m": -lr * np.where(nesterov, momentum, 1.0),
        "of_g": -lr * nesterov,
    }


def rmsprop(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """RMSprop, not centred and without momentum."""
    return {
        "decay": h["weight_decay"],
        "keep_v": h["alpha"],
        "new_v": 1 - h["alpha"],
        "of_m": -h["lr"],
        "eps": h["eps"],
    }


def adagrad(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """Every gradient counts for ever."""
    return {
        "decay": h["weight_decay"],
        "keep_v": np.ones_like(t),
        "new_v": np.ones_like(t),
        "of_m": -h["lr"] / (1 + (t - 1) * h["lr_decay"]),
        "eps": h["eps"],
    }


def adaptive(h: Mapping[str, Values]) -> dict[str, Values]:
    """What Adam and its relatives have in common: both moments, and decay of either kind."""
    beta1, beta2 = h["beta1"], h["beta2"]
    decay, decoupled = h["weight_decay"], h["decoupled_weight_decay"]
    return {
        "decay": decay * (1 - decoupled),
        "shrink": 1 - h["lr"] * decay * decoupled,
        "keep_m": beta1,
        "new_m": 1 - beta1,
        "keep_v": beta2,
        "new_v": 1 - beta2,
    }


def adam(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """Adam and AdamW. The correction of v is taken out of its root, into step size and eps."""
    root = np.sqrt(1 - h["beta2"] ** t)
    return adaptive(h) | {"of_m": -h["lr"] * root / (1 - h["beta1"] ** t), "eps": h["eps"] * root}


def adamax(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """Adamax; its infinity norm is the root of v."""
    beta2, decayed = h["beta2"], {"decay": h["weight_decay"]}
    moment = {"keep_m": h["beta1"], "new_m": 1 - h["beta1"]}
    norm = {"keep_v": beta2**2, "of_abs": np.ones_like(t), "floor": h["eps"], "eps": 0 * t}
    return decayed | moment | norm | {"of_m": -h["lr"] / (1 - h["beta1"] ** t)}


def nadam(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """NAdam; its hyperparameter ``mu_product`` is brought up to this step."""
    root, lr, product = np.sqrt(1 - h["beta2"] ** t), h["lr"], h["mu_product"]
    mu, following = (
        h["beta1"] * (1 - 0.5 * 0.96 ** (step * h["momentum_decay"])) for step in (t, t + 1)
    )
    product[:] = np.float32(product) * np.float32(mu)  # torch keeps it in single precision
    return adaptive(h) | {
        "of_m": -lr * root * following / (1 - product * following),
        "of_g": -lr * root * (1 - mu) / (1 - product),
        "eps": h["eps"] * root,
    }


def radam(h: Mapping[str, Values], t: Values) -> Mapping[str, Values]:
    """The first steps, in which the variance of 1 / sqrt(v) is not finite, are without v."""
    beta2_t = h["beta2"] ** t
    rho_inf = 2 / (1 - h["beta2"]) - 1
    rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t)
    rectified = rho > 5
    rho = np.where(rectified, rho, 6.0)
    rect = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
    scale = np.where(rectified, np.sqrt(np.maximum(rect, 0) * (1 - beta2_t)), HUGE)
    return adaptive(h) | {
        "of_m": -h["lr"] / (1 - h["beta1"] ** t) * scale,
        "eps": np.where(rectified, h["eps"], HUGE),
    }


MOMENTS = "exp_avg", "exp_avg_sq"
ADAPTIVE = ("lr", "betas", "weight_decay", "decoupled_weight_decay", "eps")
CASES: dict[type[optim.Optimizer], Case] = {
    optim.SGD: Case(
        sgd,
        ("lr", "weight_decay", "momentum", "nesterov"),
        m="momentum_buffer",
        needs_none=("dampening",),
    ),
    optim.RMSprop: Case(
        rmsprop,
        ("lr", "weight_decay", "alpha", "eps"),
        v="square_avg",
        needs_none=("momentum", "centered"),
    ),
    optim.Adagrad: Case(adagrad, ("lr", "weight_decay", "lr_decay", "eps"), v="sum"),
    optim.Adam: Case(adam, ADAPTIVE, *MOMENTS, needs_none=("amsgrad",)),
    optim.AdamW: Case(adam, ADAPTIVE, *MOMENTS, needs_none=("amsgrad",)),
    optim.Adamax: Case(
        adamax, ("lr", "betas", "weight_decay", "eps"), "exp_avg", "exp_inf", rooted=True
    ),
    optim.NAdam: Case(nadam, (*ADAPTIVE, "momentum_decay"), *MOMENTS),
    optim.RAdam: Case(radam, ADAPTIVE, *MOMENTS),
}


def case_of(optimizer: optim.Optimizer) -> Case | None:
    """The case that an optimizer with one group is; None if it is none."""
    case, group = CASES.get(type(optimizer)), optimizer.param_groups[0]
    if case is None:
        return None
    others = (*case.needs_none, "maximize", "differentiable", "capturable")
    return None if any(group.get(name) for name in others) else case

"""Adam (weight decay in the gradient), AdamW (decoupled), and their relatives in torch."""

from dataclasses import replace

from oodbench.optimizers.spec import OptimizerSpec, builder
from oodbench.spaces import log, one_minus_log

MOMENTS = {
    "lr": log(1e-4, 1e-1),
    "beta1": one_minus_log(0.5, 0.99),
    "beta2": one_minus_log(0.9, 0.9999),
    "eps": log(1e-8, 1e-3),
}
COUPLED = {**MOMENTS, "weight_decay": log(1e-6, 1e-3)}
DECOUPLED = {**MOMENTS, "weight_decay": log(1e-4, 0.3)}
"""Decay acts per step as lr * weight_decay, hence a wider and higher range."""

ADAM = OptimizerSpec(
    "adam",
    "adaptive",
    COUPLED,
    builder("torch.optim", "Adam", fused=True),  # no amsgrad, as in the study
    flat=True,
    reference="Kingma & Ba 2015",
)

ADAMW = replace(
    ADAM,
    name="adamw",
    space=DECOUPLED,
    build=builder("torch.optim", "AdamW", fused=True),
    decoupled_decay=True,
    reference="Loshchilov & Hutter 2019",
)
ADAMAX = replace(
    ADAM,
    name="adamax",
    build=builder("torch.optim", "Adamax"),
    reference="Kingma & Ba 2015, section 7.1",
)
NADAM = replace(ADAM, name="nadam", build=builder("torch.optim", "NAdam"), reference="Dozat 2016")
RADAM = replace(
    ADAM,
    name="radam",
    build=builder("torch.optim", "RAdam"),
    reference="Liu et al. 2020 (arXiv 1908.03265)",
)

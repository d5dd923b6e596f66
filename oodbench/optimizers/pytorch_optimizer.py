"""Any optimizer of the package pytorch-optimizer, by its name there: ``pytorch_optimizer.lion``.

Its hyperparameters are read from its signature. The learning rate and the weight decay are
searched; every other number, word and truth value is a constant, at the package's default, so that
a trial records it and a sweep file may give it a range.
"""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any

from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers.muon import by_shape
from oodbench.optimizers.spec import OptimizerSpec, check_installed
from oodbench.spaces import Choice, Range, log

PACKAGE = "pytorch_optimizer"
PREFIX = f"{PACKAGE}."
"""It keeps apart what has one name here and there, or nearly one (Adan is no slip of Adam)."""
PATTERN = f"{PREFIX}NAME"

WHOLE_MODULE = "it takes the module itself, and steps within the backward pass"
SECOND = "it needs second derivatives of the loss"
CLOSURE = "it evaluates the loss itself, as often as it likes"
REFUSED = {
    "adahessian": SECOND,
    "adalomo": WHOLE_MODULE,
    "adammini": "it takes the module itself, of a transformer",
    "alig": "it needs the value of the loss",
    "bsam": CLOSURE,
    "demo": "it needs several processes",
    "distributedmuon": "it needs several processes",
    "kron": "it draws from NumPy's global generator, so no run could be repeated",
    "lbfgs": CLOSURE,
    "lomo": WHOLE_MODULE,
    "magma": "it is a wrapper of another optimizer",
    "ranger21": "it has to know the number of steps, and schedules its own learning rate",
    "sara": "it trains only weights below a threshold, of a pretrained model",
    "sophiah": SECOND,
    "sparse_adam": "it is for sparse gradients",
    "spectralsphere": "it is for matrices alone, and a model has biases",
}
"""What is not supported, here or in torch.optim, and why."""

NON_ADAPTIVE = {
    *("a2grad", "accsgd", "aggmo", "dadaptsgd", "pid", "pnm", "qhm", "schedulefreesgd", "sgd"),
    *("sgdp", "sgdw", "srmm", "tam"),
}
"""All others are adaptive: see ``OptimizerSpec.kind``."""
RANDOM = {"alice", "dash", "gravity", "scion", "scionlight", "spam"}
"""They may draw from torch's global generator: their models are trained one by one."""
WAITS = {
    *("a2grad", "adafactor", "adagc", "adamp", "adams", "adanorm", "alice", "asgd", "avagrad"),
    *("dadaptadagrad", "dadaptadam", "dadaptadan", "dadaptlion", "dadaptsgd", "fromage", "lamb"),
    *("mars", "nero", "prodigy", "racs", "sgdp", "sgdsai", "spam", "stablespam", "swats"),
}
"""See ``OptimizerSpec.waits``."""
AVERAGES = {"schedulefreeadamw", "schedulefreeradam", "schedulefreesgd", "splus"}
"""See ``OptimizerSpec.averages``."""
OF_MATRICES = {"adago", "adamuon", "muon", "muonclip", "normuon"}
"""They need to know which parameters are matrices between a model's first layer and its head."""
DECOUPLED = {
    *("adan", "conda", "dadaptadan", "dash", "fira", "focus", "galore", "muonclip", "novograd"),
    *("schedulefreeadamw", "spam", "stablespam"),
}
"""Their weight decay is decoupled, whatever their signature says: see ``decoupled_decay``."""
NOT_SEARCHED = {"capturable", "differentiable", "foreach", "fused", "maximize"}
"""How a step is computed, or for whom: no hyperparameters."""


def find(name: str) -> OptimizerSpec | None:
    """The package's optimizer of this name; None if the name has not its prefix.

    Args:
        name: ``PREFIX``, and the name as the package writes it in lower case.

    Raises:
        RequestError: If it is not supported (with the reason), or the package is not installed.
        UnknownNameError: If the package has none of this name.
    """
    bare = name.removeprefix(PREFIX)
    if bare in REFUSED:
        raise RequestError(f"optimizer {name} is not supported: {REFUSED[bare]}.")
    if bare == name:
        return None
    check_installed(name, PACKAGE)
    from pytorch_optimizer import get_supported_optimizers, load_optimizer

    known = get_supported_optimizers()
    if bare not in known:
        raise UnknownNameError("optimizer", name, [PREFIX + one for one in known])
    kind = load_optimizer(bare)
    return OptimizerSpec(
        name,
        "non-adaptive" if bare in NON_ADAPTIVE else "adaptive",
        space(bare, kind),
        builder(bare, kind),
        hidden_apart=bare in OF_MATRICES,
        stackable=bare not in RANDOM,
        waits=bare in WAITS,
        decoupled_decay=decoupled_decay(bare, kind),
        averages=bare in AVERAGES,
        package=PACKAGE,
        reference=f"pytorch-optimizer: {kind.__name__}",
    )


def decoupled_decay(bare: str, kind: Any) -> bool:
    """Whether weight decay is never added to the gradient, as a default above 0 is a sign of."""
    parameters = signature(kind).parameters
    said = "weight_decouple" in parameters or "weight_decay" not in parameters
    return bare in DECOUPLED or (not said and parameters["weight_decay"].default > 0)


def space(bare: str, kind: Any) -> dict[str, Range | Choice]:
    """The search space of an optimizer class: see this module's docstring."""
    defaults = {name: p.default for name, p in signature(kind).parameters.items()}
    result: dict[str, Range | Choice] = {}
    for name, default in defaults.items():
        if name == "betas":
            result |= {f"beta{i}": Choice((float(b),)) for i, b in enumerate(default, start=1)}
        elif name == "lr" and default is not None:
            # Around 1 it multiplies a learning rate that is found by the optimizer itself.
            factor = 10.0 if default >= 0.5 else 100.0
            result[name] = log(default / factor, default * factor)
        elif name == "weight_decay":
            decoupled = decoupled_decay(bare, kind) or defaults.get("weight_decouple")
            result[name] = log(1e-4, 0.3) if decoupled else log(1e-6, 1e-3)
        elif name not in NOT_SEARCHED and is_scalar(default):
            result[name] = Choice((default,))
    return result


def is_scalar(value: Any) -> bool:
    """Whether a trial can record the value."""
    return type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def builder(bare: str, kind: Any) -> Callable[..., Any]:
    """Builds the optimizer from the hyperparameters of ``space``."""
    takes = signature(kind).parameters

    def build(params: Any, **hparams: Any) -> Any:
        params = list(params)
        if "betas" in takes:
            count = len(takes["betas"].default)
            hparams["betas"] = tuple(hparams.pop(f"beta{i + 1}") for i in range(count))
        if "foreach" in takes:
            hparams["foreach"] = False  # parameters are many and small, and their sums stay alike
        if bare in OF_MATRICES:
            params = [{**group, "use_muon": group["hidden"]} for group in by_shape(params)]
        optimizer = kind(params, **hparams)
        if bare in AVERAGES:
            optimizer.train()
        return optimizer

    return build

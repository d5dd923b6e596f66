"""Each mistake in a sweep file gives one line: where, what was given, what is allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oodbench.errors import SweepError
from oodbench.sweep import load_sweep, parse_sweep

JARGON = ("Input should", "Field required", "validation", "pydantic", "Value error", "Traceback")
DIGITS = "ColoredDigits"


def dataset(**changes: Any) -> dict[str, Any]:
    return {"datasets": [{"name": DIGITS, "test_environments": [2], **changes}]}


def algorithm(name: str = "irm", **changes: Any) -> dict[str, Any]:
    return {"algorithms": [{"name": name, **changes}]}


def optimizer(**changes: Any) -> dict[str, Any]:
    return {"optimizers": [{"name": "sgd", **changes}]}


def lr(text: Any) -> dict[str, Any]:
    return optimizer(space={"lr": text})


def parallel(method: str, **changes: Any) -> dict[str, Any]:
    return {"parallel": {"method": method, "replicas": 2, **changes}}


def train(**changes: Any) -> dict[str, Any]:
    values = {"steps": 4, "batch": {"per_environment": 8}, **changes}
    return {"train": {name: value for name, value in values.items() if value != "drop"}}


def batch(**values: Any) -> dict[str, Any]:
    return train(batch=values)


def search(**changes: Any) -> dict[str, Any]:
    return {"search": {"trials": 2, **changes}}


MISTAKES: list[tuple[dict[str, Any], str]] = [
    # unknown keys, at each level
    ({"optimisers": ["sgd"]}, "unknown key 'optimisers'. Did you mean 'optimizers'? Allowed:"),
    (dataset(render=3), "datasets.0: ColoredDigits: unknown key 'render'. Did you mean 'renders'?"),
    (dataset(train={"step": 3}), "datasets.0.train: unknown key 'step'. Did you mean 'steps'?"),
    (
        dataset(train={"batch": {"per_env": 3}}),
        "datasets.0.train.batch: unknown key 'per_env'. Did you mean 'per_environment'? "
        "Allowed: environments, per_environment, size.",
    ),
    (algorithm(rescal=True), "algorithms.0: irm: unknown key 'rescal'. Did you mean 'rescale'?"),
    (optimizer(lr=3), "optimizers.0: sgd: unknown key 'lr'. Allowed: parallel, space."),
    (
        {"optimizers": [{"name": "sasam", "space": {"variant": "paper"}}]},
        "optimizers.0: optimizer sasam: unknown variant 'paper'. Allowed: code, transcription.",
    ),
    (
        {"optimizers": [{"name": "sasam", "space": {"variant": {"log": [1, 2]}}}]},
        "optimizers.0: optimizer sasam, variant: needs one of ['code', 'transcription'], not a",
    ),
    (
        {"optimizers": ["sgd", "sasam"], **train(schedule="cosine")},
        "sasam sets its own learning rate from the gradients, so schedule, warmup and clip_norm",
    ),
    ({"optimizers": ["sasgd"], **train(clip_norm=1.0)}, "sasgd sets its own learning rate"),
    ({"optimizers": ["asgd"], **train(average={"ema": 0.9})}, "asgd is evaluated at an average of"),
    (train(schedule="warm"), "train.schedule: needs 'constant', 'linear', 'cosine' or 'step'"),
    (train(warmup=1.0), "train.warmup: needs less than 1, but got 1.0"),
    (train(average={}), "train.average: write either ema or swa"),
    (train(average={"ema": 0.9, "swa": 0.5}), "train.average: write either ema or swa"),
    (
        {"optimizers": ["lbfgs"]},
        "optimizers.0: optimizer lbfgs is not supported: it evaluates the loss itself",
    ),
    ({"model": {"name": "mlp", "widht": 8}}, "unknown option 'widht'. Did you mean 'width'?"),
    (
        search(sed=3),
        "search: unknown key 'sed'. Did you mean 'seed'? Allowed: among, budget, cohort, drop, "
        "margin, most, points, sampler, seed, startup, stop, trials.",
    ),
    (train(step=3), "train: unknown key 'step'. Did you mean 'steps'?"),
    ({"confirm": {"top": 0}}, "confirm.top: needs at least 1, but got 0"),
    ({"confirm": {"seeds": 1}}, "confirm.seeds: needs at least 2, but got 1"),
    ({"confirm": {"by": "oracle"}}, "confirm.by: needs 'id_val', but got 'oracle'"),
    ({"confirm": {"tpo": 1}}, "confirm: unknown key 'tpo'. Did you mean 'top'?"),
    (search(trials=30, startup=5), "search: startup goes with the adaptive samplers tpe and gp"),
    (search(sampler="gp"), "search: the first 20 trials of gp are random (startup), so of"),
    ({"keep_weights": "best"}, "keep_weights: needs 'none', 'last' or 'selected', but got 'best'"),
    (train(parallel="ddp"), "train: unknown key 'parallel'"),
    ({"parallel": {"method": "ddp"}}, "parallel.0: ddp needs replicas: how many"),
    ({"parallel": "ddp"}, "parallel.0: needs keys and values, but got 'ddp'"),
    ({"parallel": {"method": "none", "replicas": 2}}, "method none takes no replicas"),
    (
        {"parallel": {"method": "dpp", "replicas": 2}},
        "parallel.0: unknown parallel method 'dpp'. Did you mean 'ddp'?",
    ),
    (parallel("ddp", sync_every=2), "ddp: unknown key 'sync_every'. Allowed: batchnorm, replicas."),
    (parallel("diloco", replicas=0), "parallel.0.replicas: needs at least 1, but got 0"),
    (parallel("diloco", outer="lion"), "diloco: unknown outer 'lion'"),
    (parallel("diloco", sync_every=0), "sync_every: needs a whole number >= 1, but got 0."),
    (
        parallel("diloco", sync_every={"log": [2, 8]}),
        "sync_every: needs a whole number >= 1, but got {'log': [2.0, 8.0]}.",
    ),
    (parallel("palsgd", probability=1.0), "probability: needs a number >= 0 and < 1, but got 1.0."),
    (
        parallel("palsgd", mixing={"log": [800, 900]}),
        "palsgd(sgd)x2: a pseudo-step moves a replica by c = lr * mixing / probability = 0.001 * "
        "800 / 0.2 = 4 of its way back to the anchor, and needs 0 < c <= 1; lower lr or mixing",
    ),
    ({"optimizers": ["ddp(ddp(sgd)x2)x2"]}, "ddp cannot be used with ddp(sgd)x2, which is distrib"),
    ({"optimizers": ["palsgd(asgd)x2"]}, "asgd, which is evaluated at an average of its own"),
    ({"optimizers": ["palsgd(sasgd)x2"]}, "sasgd, which sets its own learning rate"),
    ({"optimizers": ["ddp(adm)x2"]}, "unknown optimizer 'adm'. Did you mean 'adam'?"),
    (
        {"parallel": [{"method": "ddp", "replicas": 2}, {"method": "ddp", "replicas": 2}]},
        "'ddp(sgd)x2' is listed twice",
    ),
    (
        search(sampler="tpa"),
        "search.sampler: needs 'random', 'qmc', 'grid', 'tpe' or 'gp', but got 'tpa'",
    ),
    (search(points=3), "search: sampler random needs trials, and no points"),
    (search(sampler="grid"), "search: sampler grid needs points, and no trials"),
    # unknown names
    (
        dataset(name="ColorDigits"),
        "datasets.0: unknown dataset 'ColorDigits'. Did you mean 'Colored",
    ),
    ({"algorithms": ["irmm"]}, "algorithms.0: unknown algorithm 'irmm'. Did you mean 'irm'?"),
    (
        {"optimizers": ["sgd", "adan"]},
        "optimizers.1: unknown optimizer 'adan'. Did you mean 'adam'?",
    ),
    ({"model": "cnn"}, "model: unknown model 'cnn'. Did you mean 'mnist_cnn'?"),
    (algorithm(restart="never"), "irm: unknown restart 'never'. Allowed: adam, none, same."),
    # missing keys
    (train(batch="drop"), "train.batch: is missing"),
    (train(steps="drop"), "train: needs steps or epochs"),
    ({"search": {}}, "search: sampler random needs trials, and no points"),
    ({"datasets": [DIGITS]}, "datasets.0: test_environments is missing"),
    ({"optimizers": [{"space": {"lr": 1}}]}, "optimizers.0.name: is missing"),
    # wrong types and values
    (
        {"name": "a b"},
        "name: needs letters, digits, '.', '_' and '-', no space or path, but got 'a b'",
    ),
    ({"name": 3}, "name: needs text (a number or a date is text in quotes), but got 3"),
    ({"datasets": DIGITS}, "datasets: needs a list, but got 'ColoredDigits'"),
    ({"algorithms": []}, "algorithms: needs at least one entry, but got []"),
    ({"optimizers": [3]}, "optimizers.0: needs keys and values, but got 3"),
    ({"optimizers": [{"name": 3}]}, "optimizers.0.name: needs text"),
    ({"search": "random"}, "search: needs keys and values, but got 'random'"),
    ({"seeds": 0}, "seeds: needs at least 1, but got 0"),
    (search(trials=0), "search.trials: needs at least 1, but got 0"),
    (search(seed=0.5), "search.seed: needs a whole number, but got 0.5"),
    (train(steps="300"), "train.steps: needs a whole number, but got '300'"),
    (train(steps=3.0), "train.steps: needs a whole number, but got 3.0"),
    (train(steps=True), "train.steps: needs a whole number, but got True"),
    (train(steps=0), "train.steps: needs at least 1, but got 0"),
    (train(steps="drop", epochs=0), "train.epochs: needs more than 0, but got 0"),
    (train(steps="drop", epochs="x"), "train.epochs: needs a number, but got 'x'"),
    (train(steps="drop", epochs=float("inf")), "train.epochs: needs a finite number, but got inf"),
    (train(epochs=1), "train: write either steps or epochs"),
    (train(evaluate_every=-1), "train.evaluate_every: needs at least 1, but got -1"),
    (
        train(precision="fp16"),
        "train.precision: needs 'float32', 'float64', 'tf32' or 'bf16', but got 'fp16'",
    ),
    (
        {"model": {"name": "mlp", "width": "wide"}},
        "model mlp: width needs a value like 64, but got 'wide'",
    ),
    (optimizer(space=["lr"]), "optimizers.0.space: needs keys and values, but got ['lr']"),
    (algorithm(train=3), "algorithms.0.train: needs keys and values, but got 3"),
    (
        {"optimizers": ["sgd", {"name": "sgd", "space": {"lr": 0.1}}]},
        "'sgd' is listed twice, but studies need different names; write sgd(NAME) for the second",
    ),
    ({"optimizers": ["sgd(a)", "sgd(a)"]}, "'sgd(a)' is listed twice"),
    ({"optimizers": ["adan(fixed)"]}, "unknown optimizer 'adan'. Did you mean 'adam'?"),
    (
        {"datasets": [{"name": "ColoredDigits", "test_environments": t} for t in ("each", [1])]},
        "'ColoredDigits, tested on [1]' is listed twice",
    ),
    # test environments
    (dataset(test_environments=[3]), "different indices between 0 and 2, but got [3]. Its environ"),
    (dataset(test_environments=[2, 2]), "different indices between 0 and 2, but got [2, 2]"),
    (dataset(test_environments=[]), "different indices between 0 and 2, but got []"),
    (dataset(test_environments=[0, 1, 2]), "[0, 1, 2] leaves none to train on"),
    (
        dataset(test_environments=2),
        "test_environments: needs each or a list of indices such as [2]",
    ),
    (
        dataset(test_environments="all"),
        "needs each or a list of indices such as [2], but got 'all'",
    ),
    (
        dataset(test_environments=["-9%"]),
        "unknown environment of ColoredDigits '-9%'. Did you mean '-90%'? Allowed: +80%, +90%",
    ),
    # search ranges (more of them in test_spaces.py)
    (
        optimizer(space={"momentum": 0.9}),
        "sgd: unknown hyperparameter 'momentum'. Allowed: accumulate, fr",
    ),
    (
        algorithm("erm", space={"penalty": 3}),
        "erm: unknown hyperparameter 'penalty'. Allowed: none.",
    ),
    (
        lr({"log": [1, 1]}),
        "optimizers.0: optimizer sgd, lr: A range needs low < high, but got [1, 1]",
    ),
    (
        lr({"logs": [1, 2]}),
        "optimizers.0: optimizer sgd, lr: unknown range 'logs'. Did you mean 'log'",
    ),
    (lr("high"), "optimizers.0: optimizer sgd, lr: A number is needed, but got 'high'"),
    (lr(float("nan")), "optimizers.0.space.lr: needs a finite number, but got nan"),
    (optimizer(space={3: 1}), "optimizers.0.space.3.[key]: needs text"),
    # batches
    (train(batch=8), "train.batch: needs keys and values, but got 8"),
    (batch(), "train.batch: write either per_environment or size"),
    (batch(size=8, per_environment=8), "train.batch: write either per_environment or size"),
    (
        batch(per_environment=8, environments=2),
        "environments goes with size, not with per_environment",
    ),
    (batch(size=9, environments=2), "train.batch: size 9 is no multiple of environments 2"),
    (
        batch(size=9, environments=3),
        "batch asks for 3 environments, but ColoredDigits has 2 to train",
    ),
    (batch(size=0), "a batch size is a whole number >= 1 or {choice: [powers of two]}, but got 0"),
    (batch(size="8"), "train.batch.size: a batch size is a whole number >= 1 or"),
    (batch(size=8.0), "train.batch.size: a batch size is a whole number >= 1 or"),
    (batch(size={"choice": [8, 12]}), "{choice: [powers of two]}, but got {'choice': [8, 12]}"),
    (batch(size={"log": [8, 16]}), "{choice: [powers of two]}, but got {'log': [8, 16]}"),
    (batch(size={"choice": 8}), "train.batch.size: choice needs a list, but got 8"),
    # what IRM needs
    (algorithm() | batch(size=8), "irm needs batches by environment, but got batch: {'size': 8}"),
    (algorithm() | batch(per_environment=1), "irm needs at least 2 examples of each environment"),
    (algorithm() | batch(per_environment={"choice": [1, 2]}), "{'per_environment': 1} gives 1"),
    (
        algorithm() | batch(size=2, environments=2),
        "irm needs at least 2 examples of each environment",
    ),
    # what compares environments
    *(
        (
            algorithm(name) | dataset(test_environments=[0, 2]),
            f"{name} compares training environments, but ColoredDigits has 1 to train on: it would "
            "be ERM under another name. Use erm, or more training environments.",
        )
        for name in ("vrex", "group_dro", "coral")
    ),
    (
        algorithm("vrex") | batch(size=8, environments=1),
        "vrex compares the environments of a batch, but batch: {'size': 8, 'environments': 1} has "
        "one: it would be ERM under another name. Write environments: 2 or more.",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_a_mistake_gives_one_line_with_its_place(
    tiny: Callable[..., dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep(tiny(**changes), "mine.yaml")
    first, *lines = str(error.value).splitlines()
    assert first == "mine.yaml:"
    assert len(lines) == 1
    assert message in lines[0]
    assert not [word for word in JARGON if word in lines[0]]


def test_several_mistakes_give_a_line_each(tiny: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep(tiny(optimizers=["sgdd"], seeds="3", **search(trials=-1)))
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]] == [
        "optimizers.0",
        "search.trials",
        "seeds",
    ]


FILES: list[tuple[bytes, str]] = [
    (b"", "mine.yaml is empty; it needs at least name, datasets, algorithms, optimizers, model,"),
    (b"# nothing but a comment\n", "mine.yaml is empty"),
    (b"- a\n", "needs keys and values, but got ['a']"),
    (b"name: a\nname: b\n", 'line 2, column 1: found duplicate key "name" with value "b"'),
    (b"train: {steps: 4\n", "mine.yaml is not YAML: line 2, column 1: expected ',' or '}'"),
    (b"name: a\n\tseeds: 3\n", "line 2, column 1: found character '\\t' that cannot start"),
    (b"name: !!python/object:os.system x\n", "could not determine a constructor for the tag"),
    (b"name: a\n---\nname: b\n", "mine.yaml is not YAML: line 2, column 1"),
    (bytes(range(256)), "mine.yaml is not a sweep file: it is not text in UTF-8"),
    (b"\x00\x01", "mine.yaml is not YAML: unacceptable character #x0000"),
]


@pytest.mark.parametrize(("content", "message"), FILES, ids=[text for _, text in FILES])
def test_a_file_that_is_no_sweep_is_refused_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(SweepError) as error:
        load_sweep(path)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


def test_a_path_that_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=r"nope\.yaml: No such file or directory\."):
        load_sweep(tmp_path / "nope.yaml")
    with pytest.raises(SweepError, match=f"{tmp_path}: Is a directory"):
        load_sweep(tmp_path)

"""Steps of a timm model in our loop are those of a plain PyTorch loop, with timm's own groups."""

from typing import Any

import pytest
import torch
from torch import nn
from training_helpers import CPU, NAMES, make_trials, run_together

from oodbench.models import MODELS, ModelSpec
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.training.groups import Layout
from oodbench.training.loop import Run, build_module

timm: Any = pytest.importorskip("timm")
optim: Any = pytest.importorskip("timm.optim")
STEPS = 3


def build(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    channels, size, _ = input_shape
    model: nn.Module = timm.models.VisionTransformer(
        img_size=size,
        patch_size=size // 2,
        in_chans=channels,
        num_classes=num_classes,
        embed_dim=8,
        depth=2,
        num_heads=2,
    )
    return model


@pytest.fixture(autouse=True)
def _plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    list(MODELS)
    monkeypatch.setitem(MODELS._things, "tiny_vit", ModelSpec("tiny_vit", build))


def trial_of(optimizer: str, asked: dict[str, Any]) -> Trial:
    settings: Any = {"steps": STEPS, "evaluate_every": STEPS, "model_options": {}}
    (trial,) = make_trials(1, optimizer=optimizer, model="tiny_vit", **settings)
    return Trial(**{**trial.to_json(), "hparams": {**trial.hparams, **asked}})


def train_plainly(trial: Trial, data: Any, module: nn.Module, optimizer: Any) -> dict[str, Any]:
    batches = Run([trial], data, CPU, stacked=False).batches
    for step in range(STEPS):
        rows = batches.at(step)[0].flatten()

        def closure(rows: torch.Tensor = rows) -> torch.Tensor:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(module(data.inputs[rows]), data.labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)
    return dict(module.state_dict())


def check(trial: Trial, data: Any, expected: dict[str, Any]) -> None:
    for stacked in (True, False):
        found = run_together([trial], data, stacked).models.state(0)
        assert found.keys() <= expected.keys()
        for name, value in found.items():
            # The gradient of the keys' bias is 0 but for rounding, of which Rprop takes the sign.
            if trial.optimizer == "rprop" and name.endswith("qkv.bias"):
                continue
            torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in NAMES if not OPTIMIZERS.get(name).hidden_apart])
def test_each_optimizer_steps_as_in_a_plain_loop(colored64, name: str) -> None:
    trial = trial_of(name, {})
    module = build_module(trial, colored64.shape, colored64.num_classes).double()
    optimizer = OPTIMIZERS.get(name)(list(module.parameters()), trial.hparams)
    check(trial, colored64, train_plainly(trial, colored64, module, optimizer))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_layer_decay_and_no_decay_step_as_timms_groups(colored64, kind: Any) -> None:
    name = {torch.optim.SGD: "momentum", torch.optim.AdamW: "adamw"}[kind]
    asked = {"layer_decay": 0.7, "no_decay": "norm+bias", "lr": 0.05, "weight_decay": 0.2}
    trial = trial_of(name, asked)
    h = dict(trial.hparams)
    module = build_module(trial, colored64.shape, colored64.num_classes).double()
    groups = optim.param_groups_layer_decay(module, weight_decay=0.2, layer_decay=0.7)
    for group in groups:
        group["lr"] = 0.05 * group["lr_scale"]
    own = {"momentum": h["momentum"]} if kind is torch.optim.SGD else {"eps": h["eps"]}
    own |= {"betas": (h["beta1"], h["beta2"])} if kind is torch.optim.AdamW else {}
    expected = train_plainly(trial, colored64, module, kind(groups, **own))
    check(trial, colored64, expected)


def test_the_parts_of_a_vision_transformer_can_be_named(colored64) -> None:
    module = build(colored64.shape, 2)
    layout = Layout(module, {"freeze": "stem+block 0+*.attn.*"}, STEPS)
    frozen = {p.name for p, start in zip(layout.parts, layout.since, strict=True) if start is None}
    names = dict(module.named_parameters())
    assert frozen == {
        name
        for name in names
        if name in ("cls_token", "pos_embed")
        or name.startswith(("patch_embed.", "blocks.0."))
        or ".attn." in name
    }
    assert "blocks.1.attn.qkv.weight" in frozen
    assert "blocks.1.mlp.fc1.weight" not in frozen

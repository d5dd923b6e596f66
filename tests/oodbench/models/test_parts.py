"""What each parameter is to its model: by hand, by the models' own layouts, and as timm says."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_helpers import write_encoder
from torch import Tensor, nn

from oodbench.models import MODELS
from oodbench.models.parts import Part, parts


def build(name: str, shape: tuple[int, ...], **options: Any) -> nn.Module:
    spec = MODELS.get(name)
    return spec.build(shape, 5, **{**spec.defaults, **options})


def by_name(module: nn.Module) -> dict[str, tuple[str, int, str]]:
    return {part.name: (part.place, part.depth, part.kind) for part in parts(module)}


@pytest.fixture(autouse=True)
def on_no_memory() -> Iterator[None]:
    """Only the models' structure is read."""
    with torch.device("meta"):
        yield


def test_an_mlp_is_a_first_layer_hidden_ones_and_a_head() -> None:
    assert parts(build("mlp", (2, 14, 14))) == [
        Part("1.weight", "stem", 0, "weight"),
        Part("1.bias", "stem", 0, "bias"),
        Part("3.weight", "block", 1, "weight"),
        Part("3.bias", "block", 1, "bias"),
        Part("5.weight", "head", 2, "weight"),
        Part("5.bias", "head", 2, "bias"),
    ]


def test_a_normalisation_goes_with_the_convolution_before_it() -> None:
    found = by_name(build("mnist_cnn", (2, 28, 28)))
    assert found["conv1.weight"] == ("stem", 0, "weight")
    assert found["bn0.bias"] == ("stem", 0, "norm")
    assert found["conv4.bias"] == ("block", 3, "bias")
    assert found["bn3.weight"] == ("block", 3, "norm")
    assert found["classifier.weight"] == ("head", 4, "weight")


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("linear", (10,), {}),
        ("efficientnet_lite0", (1280,), {"train": "head"}),
        ("efficientnet_lite0", (1280,), {"train": "head", "hidden": 8}),
    ],
)
def test_a_head_alone_has_no_depth(name: str, shape: tuple[int, ...], options: Any) -> None:
    assert {(part.place, part.depth) for part in parts(build(name, shape, **options))} == {
        ("head", 0)
    }


@pytest.mark.parametrize(
    ("name", "blocks", "head", "examples"),
    [
        # ResNet-18: 2 blocks in each of 4 stages; the stem has 3 tensors.
        (
            "resnet18",
            8,
            2,
            {"conv1.weight": ("stem", 0, "weight"), "layer4.1.bn2.bias": ("block", 8, "norm")},
        ),
        ("resnet50", 16, 2, {"layer1.0.downsample.0.weight": ("block", 1, "weight")}),
        # 6 + 12 + 24 + 16 layers; a transition goes with the layer before it.
        (
            "densenet121",
            58,
            2,
            {
                "features.transition1.conv.weight": ("block", 6, "weight"),
                "features.denseblock2.denselayer1.conv1.weight": ("block", 7, "weight"),
                "features.norm5.weight": ("block", 58, "norm"),
            },
        ),
        (
            "vit_b_16",
            12,
            2,
            {
                "class_token": ("stem", 0, "embedding"),
                "encoder.pos_embedding": ("stem", 0, "embedding"),
                "conv_proj.weight": ("stem", 0, "weight"),
                "encoder.layers.encoder_layer_11.self_attention.in_proj_weight": (
                    *("block", 12),
                    "weight",
                ),
                "encoder.ln.weight": ("block", 12, "norm"),
            },
        ),
        (
            "efficientnet_lite0",
            16,
            4,
            {
                "_bn0.weight": ("stem", 0, "norm"),
                "_blocks.15._bn0.weight": ("block", 16, "norm"),
                "_conv_head.weight": ("block", 16, "weight"),
            },
        ),
    ],
)
def test_backbones_are_read_by_their_layout(
    name: str, blocks: int, head: int, examples: dict[str, Any]
) -> None:
    model = build(name, (3, 224, 224), pretrained=False, hidden=8 if head == 4 else 0)
    found = {name.removeprefix("body.body.body."): part for name, part in by_name(model).items()}
    found = {name.removeprefix("body.body."): part for name, part in found.items()}
    assert {place: depth for place, depth, _ in found.values()} == {
        "stem": 0,
        "block": blocks,
        "head": blocks + 1,
    }
    assert {depth for _, depth, _ in found.values()} == set(range(blocks + 2))
    assert Counter(place for place, *_ in found.values())["head"] == head
    for parameter, expected in examples.items():
        assert found[parameter] == expected


def test_a_text_encoder_has_embeddings_and_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path))
    with torch.device("cpu"):
        write_encoder(tmp_path / "tiny")
        found = by_name(build("text_encoder", (12,), encoder="tiny"))
    start = "body.encoder."
    assert found[f"{start}embeddings.word_embeddings.weight"] == ("stem", 0, "embedding")
    assert found[f"{start}embeddings.LayerNorm.weight"] == ("stem", 0, "norm")
    assert found[f"{start}encoder.layer.0.attention.self.query.weight"] == ("block", 1, "weight")
    assert found[f"{start}encoder.layer.1.output.LayerNorm.bias"] == ("block", 2, "norm")
    assert found["classifier.weight"] == ("head", 3, "weight")


def test_hidden_weights_are_matrices_and_convolutions_between_the_first_layer_and_the_head() -> (
    None
):
    model = build("resnet18", (3, 64, 64), pretrained=False)
    hidden = {part.name.removeprefix("body.body.body.") for part in parts(model) if part.hidden}
    assert len(hidden) == 19  # 16 convolutions of blocks, 3 on shortcuts
    assert "layer1.0.conv1.weight" in hidden
    assert "conv1.weight" not in hidden


class Declaring(nn.Module):
    """A model of somebody else's, which says what its parts are."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.scale = nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.ones(4))
        self.deep = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.out = nn.Linear(4, 5)

    def group_matcher(self, coarse: bool) -> dict[str, str]:
        return {"stem": "^table", "blocks": r"^deep\.(\d+)|^scale"}

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_model_may_say_what_its_parts_are() -> None:
    assert by_name(Declaring()) == {
        "table": ("stem", 0, "embedding"),
        "scale": ("block", 1, "norm"),
        "deep.0.weight": ("block", 2, "weight"),
        "deep.0.bias": ("block", 2, "bias"),
        "deep.1.weight": ("block", 3, "weight"),
        "deep.1.bias": ("block", 3, "bias"),
        "out.weight": ("head", 4, "weight"),
        "out.bias": ("head", 4, "bias"),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "densenet121", "efficientnet_lite0", "convnext_atto", "vit_tiny_patch16_224"),
        *("swin_tiny_patch4_window7_224", "beit_base_patch16_224", "cait_xxs24_224", "coat_tiny"),
        *(
            "resmlp_12_224",
            "hrnet_w18_small",
            "inception_v3",
            "regnetx_002",
            "eva02_tiny_patch14_224",
        ),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_depths_are_timms(name: str, wrapped: bool) -> None:
    """Of its whole model, and of its body under a head of ours."""
    timm: Any = pytest.importorskip("timm")
    models: Any = pytest.importorskip("timm.models")
    body = timm.create_model(name, num_classes=0 if wrapped else 5)
    theirs = models.group_parameters(body, body.group_matcher(coarse=False), reverse=True)
    if not wrapped:
        assert {part.name: part.depth for part in parts(body)} == theirs
        return
    layers = {"body": nn.Sequential(body), "classifier": nn.Linear(body.num_features, 5)}
    model = nn.Sequential(OrderedDict(layers))
    found = {part.name.removeprefix("body.0."): part for part in parts(model)}
    assert {name: found[name].depth for name in theirs} == theirs
    assert {name for name, part in found.items() if part.place == "head"} == {
        "classifier.weight",
        "classifier.bias",
    }
    assert found["classifier.weight"].depth >= max(theirs.values())


def test_torchvisions_resnets_are_grouped_as_timms_are() -> None:
    timm: Any = pytest.importorskip("timm")
    theirs = {part.name: part.depth for part in parts(timm.create_model("resnet50"))}
    ours = parts(build("resnet50", (3, 64, 64), pretrained=False, freeze_bn=False))
    depths = {part.name.removeprefix("body.body."): part.depth for part in ours}
    assert {k: v for k, v in depths.items() if not k.startswith("classifier")} == {
        k: v for k, v in theirs.items() if not k.startswith("fc.")
    }

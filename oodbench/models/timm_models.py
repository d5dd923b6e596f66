"""An architecture of timm as a backbone.

How images are to be given, and which weights there are, is timm's own configuration of the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models.head import (
    OPTIONS,
    begins_with,
    check_images,
    fitting,
    frozen,
    not_of_size,
    train_part,
    whole,
)
from oodbench.models.pretrained import HubWeights, Weights
from oodbench.models.spec import Channels, ModelSpec
from oodbench.models.states import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

PREFIX = "timm."
TIMM_OPTIONS: dict[str, Any] = {**OPTIONS, "drop_path": 0.0}
"""``drop_path``: the share of residual branches that a training step leaves out (stochastic depth),
rising with depth up to this."""
DEFAULTS = {k: v[0] if isinstance(v, tuple) else v for k, v in TIMM_OPTIONS.items()}
Size = tuple[int, int]
"""The height and the width of an image, in pixels."""


@dataclass(frozen=True)
class TimmModel:
    """An architecture, and one of its sets of weights.

    Attributes:
        architecture: Architecture in timm: ``resnet50``.
        tag: Tag of the weights: ``ram_in1k``; empty: those that timm takes by default.
    """

    architecture: str
    tag: str = ""

    @property
    def name(self) -> str:
        """The model's name in sweep files."""
        return PREFIX + self.architecture + (f".{self.tag}" if self.tag else "")

    @property
    def about(self) -> Any:
        """timm's configuration of the name."""
        timm = timm_package()
        return timm.get_pretrained_cfg(self.name.removeprefix(PREFIX)) or timm.PretrainedCfg()

    @property
    def weights(self) -> HubWeights | Weights | None:
        """The published file; None if there is none."""
        about = self.about
        if about.hf_hub_id:
            names = (about.hf_hub_filename,) if about.hf_hub_filename else HubWeights.files
            return HubWeights(self.name, about.hf_hub_id, names)
        if about.url:
            return Weights(self.name, about.url.rpartition("/")[2], about.url, named=False)
        return None

    def spec(self) -> ModelSpec:
        """The specification under which the model is found by name."""
        about, weights = self.about, self.weights
        pixels, interpolation = about.input_size[-1], about.interpolation
        return ModelSpec(
            self.name,
            self.build,
            options=TIMM_OPTIONS,
            summary=f"timm's {self.architecture}; images of {pixels} pixels"
            f"{'' if weights else '; no published weights'}.",
            reference="Wightman 2019 (timm)",
            pretrained=self.pretrained,
            frozen=partial(frozen, self.name, self.network),
            classifier=self.classifier if self.weights else None,
            images={"size": pixels, "interpolation": interpolation},
            fits=self.fits,
            fetch=None if weights is None else weights.fetch,
            facts=self.facts,
        )

    def facts(self) -> dict[str, str]:
        """Return what timm knows about the architecture and its weights."""
        about, known = self.about, timm_package().get_arch_pretrained_cfgs(self.architecture)
        tags = [n.partition(".")[2] for n, one in known.items() if one.has_weights]
        numbers = " ".join(f"{n:g}" for n in (*about.mean, *about.std))
        return {
            "weights": ", ".join(tags) + " (the first by default)" * (len(tags) > 1),
            "images": f"{about.input_size[-1]} pixels, {about.interpolation}",
            "mean and deviation": numbers,
            "licence": about.license or "",
            "fetch": f"oodbench fetch model {self.name}" if self.weights else "",
        }

    def pretrained(self, options: Mapping[str, Any]) -> str:
        """The sha256 of the weights file that these options begin with; empty: random weights."""
        file = begins_with(self.name, options, self.weights)
        if file is None:
            return ""
        if options["weights"]:
            _loads(self, options["weights"], file.sha256)
        return file.sha256

    def fits(self, options: Mapping[str, Any], size: int | None) -> None:
        """Raise RequestError unless it takes images of this size and has what the options name."""
        import torch

        pixels = size or self.about.input_size[-1]
        _width(self, (pixels, pixels), options["train"], options["drop_path"])
        if options["train"] == "partial":
            with torch.device("meta"):
                train_part(self.name, self._made({}), options)

    def network(self, options: Mapping[str, Any], size: Size | None = None) -> "nn.Module":
        """Images in [0, 1] to features.

        Args:
            options: See ``TIMM_OPTIONS``.
            size: Size of the images; None: of any size, where the architecture can.
        """
        from oodbench.models.layers import Normalise, with_frozen_batchnorm

        file = begins_with(self.name, options, self.weights)
        with fitting(options["weights"] or "The published file", self.name):
            body = self.body(size, options["drop_path"], file.load() if file else None)
        if options["freeze_bn"]:
            body = with_frozen_batchnorm(body)
        return Normalise(body, self.about.mean, self.about.std)

    def body(
        self, size: Size | None, drop_path: float, state: dict[str, Any] | None = None
    ) -> "nn.Module":
        """Normalised images to features, with the weights of a file or random ones."""
        given: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
        make = self._made if state is None else partial(self._loaded, state)
        if not self.about.fixed_input_size:
            return make(given)
        if size is not None:  # the weights of a ViT's positions are made for it
            return make({**given, "img_size": size} if size != self._native else given)
        try:
            return make({**given, "dynamic_img_size": True})
        except TypeError:  # an architecture that takes its own size alone
            return make(given)

    @property
    def _native(self) -> Size:
        height, width = self.about.input_size[-2:]
        return height, width

    def _made(self, given: Mapping[str, Any]) -> "nn.Module":
        """Build the network with random weights."""
        tag = self.tag or None
        body: nn.Module = timm_package().create_model(
            self.architecture, pretrained_cfg=tag, num_classes=0, **given
        )
        return body

    def classifier(self, file: "Path | None", mean: Channels, std: Channels) -> "nn.Module":
        """The whole network from images in [0, 1] to logits, in eval mode.

        See ``oodbench.models.backbone.Backbone.classifier``.
        """
        from oodbench.models.layers import Normalise

        published = begins_with(self.name, DEFAULTS, self.weights) if file is None else None
        state = read_state(file) if file else published.load()  # type: ignore[union-attr]
        with fitting(str(file or "The published file"), self.name):
            whole = self._whole(state, {})
        if whole.num_classes == 0:
            raise RequestError(f"{file or self.name} has no last layer, so it predicts no classes.")
        if whole.num_classes == self.about.num_classes:
            mean, std = self.about.mean, self.about.std
        return Normalise(whole, mean, std).eval().requires_grad_(False)

    def _loaded(self, state: dict[str, Any], given: Mapping[str, Any]) -> "nn.Module":
        """The network with these weights, up to the features."""
        body = self._whole(state, given)
        body.reset_classifier(0)  # type: ignore[operator]
        return body

    def _whole(self, state: dict[str, Any], given: Mapping[str, Any]) -> "nn.Module":
        """The whole network with these weights, each of which must have its place.

        timm asks for that only where the last layer is as in the file, so it is made.
        """
        last = self.about.classifier or ()
        weights = [f"{name}.weight" for name in ((last,) if isinstance(last, str) else last)]
        classes = max((len(state[name]) for name in weights if name in state), default=0)
        body: nn.Module = timm_package().create_model(
            self.architecture,
            pretrained=True,
            pretrained_cfg=self.tag or None,
            pretrained_cfg_overlay={"state_dict": state, "num_classes": classes},
            num_classes=classes,
            **given,
        )
        body.pretrained_cfg = body.default_cfg = {}  # type: ignore[assignment]  # had the tensors
        return body

    def build(
        self, input_shape: tuple[int, ...], num_classes: int, **options: Any
    ) -> "nn.Sequential":
        """The body, unless only a head is trained, and the head, its last layer linear."""
        body, size = None, self._native
        if options["train"] != "head":
            check_images(self.name, input_shape)
            size = input_shape[1], input_shape[2]
            body = self.network(options, size)
        width = _width(self, size, options["train"], options["drop_path"])
        return whole(self.name, body, width, input_shape, num_classes, options)


@lru_cache
def _width(model: TimmModel, size: Size, train: str, drop_path: float) -> int:
    """Number of features of images of this size, from a run without numbers.

    Raises:
        RequestError: If it takes no such images, or has no paths to drop.
    """
    import torch

    try:
        with torch.device("meta"):
            body = model.body(None if train == "head" else size, drop_path)
            _check_patches(body, size)
            features = body.eval()(torch.empty(1, 3, *size))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        if "drop_path" in str(error):
            raise RequestError(f"model {model.name} has no drop_path: leave it out.") from error
        raise not_of_size(model.name, size[-1], model.about.input_size[-1], error) from error
    if features.ndim != 2:
        raise RequestError(
            f"model {model.name} gives features of parts of an image, not of the whole: "
            f"{tuple(features.shape[1:])}. No head can be put on them; use another model."
        )
    return int(features.shape[1])


def _check_patches(body: "nn.Module", size: Size) -> None:
    """Raise ValueError if patches leave a part of the image out: timm then says nothing of it."""
    from timm.layers.patch_embed import PatchEmbed

    for layer in body.modules():
        if isinstance(layer, PatchEmbed) and not layer.dynamic_img_pad:
            for pixels, patch in zip(size, layer.patch_size, strict=True):
                if pixels % patch:
                    raise ValueError(f"not divisible by patch size {patch}")


@lru_cache
def _loads(model: TimmModel, weights: str, sha256: str) -> None:
    """Raise RequestError unless this file of your own fits; it is looked at once."""
    model.network({**DEFAULTS, "weights": weights})


@lru_cache
def timm_package() -> Any:
    """What timm knows of its models.

    Raises:
        RequestError: If it is not installed.
    """
    try:
        import timm
        import timm.models
    except ImportError as error:
        raise RequestError(
            "Models called timm.NAME need timm: pip install 'oodbench[timm]'."
        ) from error
    return timm.models

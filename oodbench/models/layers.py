"""The modules that several backbones share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Normalise(nn.Module):
    """Subtracts the mean of each channel and divides by its deviation, then runs ``body``.

    Args:
        body: Network from normalised images.
        mean, std: One number a channel, of images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, height, width) images to what ``body`` makes of them."""
        return self.body((images - self.mean) / self.std)  # type: ignore[no-any-return]


TEXTS = 64
"""Texts in one forward pass of a text encoder: attention needs much memory for each."""


def alike(lengths: Sequence[int]) -> list[list[int]]:
    """Positions of texts that go together: no text has less than half the longest one's length.

    So a batch of texts is padded to less than twice its tokens, whatever is drawn together.

    Args:
        lengths: Lengths of each text, in tokens.
    """
    order = sorted(range(len(lengths)), key=lambda text: -lengths[text])
    parts: list[list[int]] = []
    for text in order:
        fits = parts and len(parts[-1]) < TEXTS and 2 * lengths[text] >= lengths[parts[-1][0]]
        if not fits:
            parts.append([])
        parts[-1].append(text)
    return parts


class TextFeatures(nn.Module):
    """The features of texts: the state of the first token, or the mean over all of a text's.

    Args:
        encoder: A model of transformers.
        mean: Which of the two.
    """

    def __init__(self, encoder: nn.Module, mean: bool) -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # type: ignore[assignment]  # it would get no gradients
        self.encoder, self.mean = encoder, mean
        self.width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Patterns of the network's parts; see ``oodbench.models.parts``."""
        return {"stem": r"^encoder\.embeddings", "blocks": r"^encoder\..*\blayers?\.(\d+)"}

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, length) token numbers plus 1, 0 for none, to (n, width).

        Texts of like length go through the encoder together, which changes no more than rounding.
        Their lengths are all that a GPU is waited for.
        """
        lengths = (tokens > 0).sum(1).tolist()
        parts = alike(lengths)
        order = torch.tensor([text for part in parts for text in part])
        if tokens.is_cuda:
            order = order.pin_memory().to(tokens.device, non_blocking=True)
        given = torch.split(tokens.index_select(0, order), [len(part) for part in parts])
        longest = [max(1, lengths[part[0]]) for part in parts]  # the first one of each
        features = torch.cat(list(map(self._together, given, longest)))
        return features.index_select(0, order.argsort())

    def _together(self, tokens: Tensor, longest: int) -> Tensor:
        """The features of texts whose padding is cut to the longest; see ``forward``."""
        numbers = tokens[:, :longest].long()
        there = numbers > 0
        states: Tensor = self.encoder(
            input_ids=(numbers - 1).clamp(min=0), attention_mask=there.long()
        ).last_hidden_state
        if not self.mean:
            return states[:, 0]
        weights = there.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class FrozenBatchNorm(nn.Module):
    """Runs ``body`` with the BatchNorm statistics that it has, whatever mode it is put in.

    Args:
        body: Any module; its BatchNorm layers' scales and shifts are not trained either.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        for module in self._layers():
            module.requires_grad_(False)

    def _layers(self) -> list[nn.Module]:
        return [module for module in self.body.modules() if isinstance(module, _BatchNorm)]

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        """Every other layer goes into this mode."""
        super().train(mode)
        for module in self._layers():
            module.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """What ``body`` makes of the inputs."""
        return self.body(inputs)  # type: ignore[no-any-return]


def with_frozen_batchnorm(body: nn.Module) -> nn.Module:
    """The module with frozen BatchNorm; the module itself if it has none."""
    if not any(isinstance(module, _BatchNorm) for module in body.modules()):
        return body
    return FrozenBatchNorm(body)

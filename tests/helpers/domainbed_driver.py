"""Trains DomainBed's own ERM or IRM for a few steps; run by the tests with DomainBed on the path.

``python domainbed_driver.py ALGORITHM HPARAMS DTYPE OUT.npz [DATA]``: with a data folder on its own
ColoredMNIST, initialisation and loaders, else on those of the recipe. OUT has the initial weights,
the batches (bytes) and the loss of each step.
"""

import json
import sys
from typing import Any

import numpy as np
import torch
from domainbed import algorithms, datasets, hparams_registry
from domainbed.lib import misc
from domainbed.lib.fast_data_loader import InfiniteDataLoader
from domainbed_recipe import STEPS, batches, weights


def own_batches(folder: str, hparams: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What its loaders give for test environment 2, as ``scripts/train.py`` makes them."""
    loaders = []
    for i, environment in enumerate(datasets.ColoredMNIST(folder, [2], hparams)):
        if i != 2:
            seed = misc.seed_hash(0, i)
            _, in_ = misc.split_dataset(environment, int(len(environment) * 0.2), seed)
            loaders.append(iter(InfiniteDataLoader(in_, None, hparams["batch_size"], 0)))
    steps = [[next(loader) for loader in loaders] for _ in range(STEPS)]
    inputs = torch.stack([torch.stack([x for x, _ in step]) for step in steps])
    labels = torch.stack([torch.stack([y for _, y in step]) for step in steps])
    return inputs.mul(255).round().byte().numpy(), labels.numpy()


def main(name: str, changes: str, dtype: str, out: str, folder: str | None = None) -> None:
    hparams = hparams_registry.default_hparams(name, "ColoredMNIST") | json.loads(changes)
    torch.set_default_dtype(getattr(torch, dtype))  # IRM's scale has it
    torch.manual_seed(0)
    images, labels = batches() if folder is None else own_batches(folder, hparams)
    algorithm = algorithms.get_algorithm_class(name)((2, 28, 28), 2, 2, hparams)
    state = algorithm.network.state_dict()
    if folder is None:
        shapes = {ours(key): tuple(value.shape) for key, value in state.items()}
        for key, value in weights(shapes).items():
            state[theirs(key)].copy_(torch.from_numpy(value))
    start = {ours(key): value.clone().numpy() for key, value in state.items()}
    inputs = torch.from_numpy(images).to(getattr(torch, dtype)) / 255
    losses = [
        algorithm.update(list(zip(x, y, strict=True)))
        for x, y in zip(inputs, torch.from_numpy(labels), strict=True)
    ]
    np.savez(out, images=images, labels=labels, losses=[step["loss"] for step in losses], **start)


def ours(name: str) -> str:
    """``0.conv1.weight`` to ``conv1.weight``, ``1.weight`` to ``classifier.weight``."""
    part, rest = name.split(".", 1)
    return rest if part == "0" else f"classifier.{rest}"


def theirs(name: str) -> str:
    return f"1.{name[11:]}" if name.startswith("classifier.") else f"0.{name}"


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Weights and batches for MNIST_CNN that any two programs can make: NumPy's frozen RandomState."""

import numpy as np

STEPS = 20
ANNEAL = 10
"""Steps before the penalty weight jumps, and Adam with it, in the second run of IRM."""
PENALTY_WEIGHT = 100.0
LR = 1e-3


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A normal draw for every parameter, scaled as weights are; norms start at one and zero."""
    drawn = {}
    for number, (name, shape) in enumerate(sorted(shapes.items())):
        values = np.random.RandomState(number).standard_normal(shape)
        if ".bn" in f".{name}":
            values = np.full(shape, float(name.endswith("weight")))
        elif len(shape) > 1:
            values /= np.sqrt(np.prod(shape[1:]))
        else:
            values *= 0.1
        drawn[name] = values.astype(np.float32)
    return drawn


def batches() -> tuple[np.ndarray, np.ndarray]:
    """STEPS batches of 4 examples from each of two environments, whose colour tells the label.

    Returns:
        (STEPS, 2, 4, 2, 28, 28) bytes and (STEPS, 2, 4) labels; the colour is wrong in one example
        of the first environment's four, and in two of the second's.
    """
    draws = np.random.RandomState(0)
    grey = draws.randint(0, 256, (STEPS, 2, 4, 28, 28))
    labels = draws.randint(0, 2, (STEPS, 2, 4))
    colours = labels.copy()
    colours[:, 0, 0] ^= 1
    colours[:, 1, 1:3] ^= 1
    images = np.stack([grey * (colours == channel)[..., None, None] for channel in (0, 1)], axis=3)
    return images.astype(np.uint8), labels.astype(np.int64)

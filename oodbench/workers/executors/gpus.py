"""Which GPUs of this machine workers may have, by the names that ``CUDA_VISIBLE_DEVICES`` takes."""

import os
from collections.abc import Sequence

from oodbench.errors import RequestError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process sees; it starts none of them."""
    import torch

    named = os.environ.get(VISIBLE, "")
    every = tuple(name.strip() for name in named.split(",") if name.strip())
    return every or tuple(map(str, range(torch.cuda.device_count())))


def chosen_gpus(asked: Sequence[str], device: str) -> tuple[str, ...]:
    """The GPUs that the workers of this machine have, one each in turn.

    Args:
        asked: Names, or positions among those that this process sees; none: all of them.
        device: That the workers were given; ``cuda:1`` is the second of the visible ones.

    Returns:
        None of them for a device that is no GPU, or where this process sees none.

    Raises:
        RequestError: If one that is asked for is not visible, or is asked for twice.
    """
    kind, _, position = device.partition(":")
    if not asked and kind not in ("auto", "cuda"):
        return ()
    visible = visible_gpus()
    wanted = [name.strip() for name in asked] or ([position] if position else list(visible))
    if not visible:  # each worker says what is wrong with its device
        return tuple(asked)
    chosen = []
    for name in wanted:
        if name not in visible and not (name.isdecimal() and int(name) < len(visible)):
            raise RequestError(
                f"GPU {name!r} is not visible here. Visible: {', '.join(visible)} ({VISIBLE}); "
                f"positions among them, 0 to {len(visible) - 1}, are names as well."
            )
        counted = name.isdecimal() and int(name) < len(visible)
        chosen.append(visible[int(name)] if counted else name)
    if len(set(chosen)) < len(chosen):
        raise RequestError(f"GPUs {', '.join(wanted)}: one is named twice; use --slots-per-gpu.")
    return tuple(chosen)

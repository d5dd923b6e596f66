"""Reading the tensors of a file of weights; no code in it is run."""

from pathlib import Path
from typing import Any

from oodbench.errors import RequestError


def read_state(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file, or of one that ``torch.save`` wrote, by name.

    Raises:
        RequestError: If it is not there, or is none.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RequestError(f"Cannot read the weights {path}: {error.strerror}.") from error
    except SafetensorError as error:
        raise RequestError(f"{path} is not a safetensors file: {error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise RequestError(
            f"{path} is not a state dict that torch.save wrote; save model.state_dict() alone."
        ) from error
    if not isinstance(state, dict):
        raise RequestError(f"{path} has a {type(state).__name__}, not a state dict.")
    return state

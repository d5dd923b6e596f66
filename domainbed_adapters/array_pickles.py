"""Pickles of arrays and plain containers, read without running what else a pickle may say.

A pickle is a program: it may call any function by its name. Here it can name three: those of which
numpy makes an array. The name of any other is refused before it is imported.
"""

import codecs
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import RequestError

_made: Any = np.zeros(0).__reduce__()
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _made[0],
    ("numpy._core.multiarray", "_reconstruct"): _made[0],
    ("_codecs", "encode"): codecs.encode,  # bytes, where Python 3 wrote for Python 2
}
"""What may be named, by module and name; numpy 2 has moved one of them."""


class ArrayUnpickler(pickle.Unpickler):
    """Reads numbers, texts, lists, dicts and arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The function or class that a pickle names, if it is allowed.

        Raises:
            UnpicklingError: If it is not.
        """
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it calls {module}.{name}, which no array needs")
        return ALLOWED[module, name]


def read_arrays(path: Path) -> Any:
    """What a pickle holds; texts of Python 2 become bytes.

    Raises:
        RequestError: If the file cannot be read, is no pickle, or holds more than arrays.
    """
    try:
        with path.open("rb") as file:
            return ArrayUnpickler(file, encoding="bytes").load()
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:  # damaged pickles raise whatever their bytes happen to ask for
        raise RequestError(
            f"{path} is not a pickle of arrays: {error or type(error).__name__}. Get it again."
        ) from error

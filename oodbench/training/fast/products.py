"""K matrix products at once, by the faster library.

torch's come from MKL, which has no AVX-512 for AMD's processors; numpy's OpenBLAS has, and reaches
about twice the speed there (``docs/performance.md``). ``torch.bmm`` is the reference, and is used
on GPUs, on other processors, in other precisions, in compiled steps and wherever gradients of
gradients are asked for.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info
from torch import Tensor

AVX512 = ("SkylakeX", "Cooperlake", "SapphireRapids", "Zen4", "Zen5")
"""OpenBLAS' kernels that use it."""
OLDEST = (0, 3, 31)
"""OpenBLAS that was tested; there have been some whose kernels for AVX-512 were wrong."""


@cache
def pays() -> bool:
    """Whether numpy's products are faster than torch's on this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    amd = cpuinfo.exists() and "AuthenticAMD" in cpuinfo.read_text(encoding="utf-8")
    return amd and any(is_fast(library) for library in threadpool_info())


def is_fast(library: Mapping[str, Any]) -> bool:
    """Whether this library, as threadpoolctl describes it, is numpy's and uses AVX-512."""
    if library["internal_api"] != "openblas" or "numpy" not in library["filepath"]:
        return False
    version = tuple(int(part) for part in re.findall(r"\d+", library["version"] or "")[:3])
    return library["architecture"] in AVX512 and version >= OLDEST


def library(device: torch.device) -> str:
    """What computes the products of stacks of linear layers there: ``numpy`` or ``torch``."""
    return "numpy" if device.type == "cpu" and pays() else "torch"


def by_numpy(x: Tensor) -> bool:
    """Whether numpy is to compute the products of this tensor."""
    if torch.compiler.is_compiling():  # which cannot look into numpy
        return False
    plain = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    return plain and not torch.is_grad_enabled() and pays()


def spread(x: Tensor, shares: Sequence[int]) -> Tensor:
    """(U, ...) to (K, ...): each as many times in a row as its share says; (K, ...) as it is."""
    few = bool(shares) and len(x) == len(shares)
    return x.index_select(0, _places(tuple(shares), x.device)) if few else x


@cache
def _places(shares: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.arange(len(shares)).repeat_interleave(torch.tensor(shares)).to(device)


def product(a: Tensor, b: Tensor, shares: Sequence[int] = ()) -> Tensor:
    """(K, n, m) and (K, m, p) to (K, n, p).

    Args:
        a: The left matrices.
        b: The right ones.
        shares: If there are fewer than K of one side: with how many of the other side each is
            multiplied, in order.
    """
    if not by_numpy(a):
        return torch.bmm(spread(a, shares), spread(b, shares))
    k = max(len(a), len(b))
    out = a.new_empty(k, a.shape[1], b.shape[2])
    left, right, result = a.detach().numpy(), b.detach().numpy(), out.numpy()
    with np.errstate(all="ignore"):  # diverged models are seen to elsewhere
        if len(left) == len(right):
            np.matmul(left, right, out=result)
            return out
        for i, end in enumerate(accumulate(shares)):
            some = slice(end - shares[i], end)
            one, other = (x[some] if len(x) == k else x[i] for x in (left, right))
            np.matmul(one, other, out=result[some])
    return out


def product_plus(bias: Tensor, a: Tensor, b: Tensor, shares: Sequence[int] = ()) -> Tensor:
    """``product``, and a bias (K, p) in each row."""
    if not by_numpy(a):
        return torch.baddbmm(bias.unsqueeze(1), spread(a, shares), b)
    return product(a, b, shares).add_(bias.unsqueeze(1))

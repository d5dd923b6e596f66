"""What a GPU is set to while it computes in a precision; TF32 itself: see ``test_on_gpu.py``."""

from contextlib import nullcontext

import pytest
import torch
from training_helpers import CPU, make_trials, run_together

from oodbench.training import DTYPES, Tensors
from oodbench.training.precision import numerics, tell_if_slow

CUDA = torch.device("cuda")


def switches() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    tf32 = torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32
    return *tf32, cudnn.deterministic, cudnn.benchmark, torch.get_deterministic_debug_mode()


def fail_inside(precision: str) -> None:
    with numerics(CUDA, precision, deterministic=False):
        assert switches()[2:] == (False, True, 0)
        raise KeyError


@pytest.mark.parametrize("around", [nullcontext(), numerics(CUDA, "tf32", deterministic=False)])
def test_a_gpu_is_set_to_the_precision_inside_and_as_it_was_outside(
    around: nullcontext[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # a user's own is kept
    with around:
        outside = switches()
        for precision in DTYPES:
            rounds = precision == "tf32"
            with numerics(CUDA, precision):
                assert switches() == (rounds, rounds, True, False, 1)
            assert switches() == outside
            with pytest.raises(KeyError):
                fail_inside(precision)
            with numerics(CPU, precision):
                assert switches() == outside


def test_tf32_is_float32_where_there_is_none_and_is_reported(
    colored32: Tensors, capsys: pytest.CaptureFixture[str]
) -> None:
    wide, tf32 = (make_trials(1, precision=p, steps=5) for p in ("float32", "tf32"))
    assert wide[0].id != tf32[0].id
    found = [run_together(trials, colored32).measurements for trials in (wide, tf32)]
    assert found[0] == found[1]
    tell_if_slow.cache_clear()
    tell_if_slow("tf32", "cpu")
    assert capsys.readouterr().err == "precision tf32: cpu has no TF32; use float32\n"
    tell_if_slow.cache_clear()

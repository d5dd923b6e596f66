"""Which arithmetic a run was computed with: what another processor or library would be called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_helpers import make_trials, run_together

from oodbench.machine import ARITHMETIC, processor
from oodbench.training import Tensors, provenance
from oodbench.training.outcome import records_of
from oodbench.training.precision import numerics

CODE = """
import json
from oodbench.training.provenance import arithmetic
print(json.dumps(arithmetic("cpu")))
"""


def elsewhere(**environment: str) -> dict[str, str]:
    """What a process of its own says."""
    settings = {**os.environ, **environment}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=settings, capture_output=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_each_record_says_what_it_was_computed_with(colored64: Tensors) -> None:
    (record,) = records_of(run_together(make_trials(1, steps=2), colored64))
    here = provenance.arithmetic("cpu")
    assert tuple(here) == ARITHMETIC
    assert {name: record.provenance[name] for name in ARITHMETIC} == here
    assert all(here.values())
    assert here["vector_instructions"] == torch.backends.cpu.get_cpu_capability()


def test_the_processor_has_the_name_that_the_system_gives() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists() or "model name" not in cpuinfo.read_text():
        pytest.skip("needs a system that names its processor in /proc/cpuinfo")
    assert f": {processor()}\n" in cpuinfo.read_text()


def test_other_kernels_have_other_names() -> None:
    here = provenance.arithmetic("cpu")
    if not here["numpy_blas"].startswith("openblas") or here["vector_instructions"][:3] != "AVX":
        pytest.skip("needs numpy with OpenBLAS, on x86 with AVX2")
    found = elsewhere(OPENBLAS_CORETYPE="Haswell", ATEN_CPU_CAPABILITY="default")
    assert found["numpy_blas"].split()[-1] == "Haswell"
    assert found["vector_instructions"] not in ("AVX2", "AVX512")
    same = set(ARITHMETIC) - {"numpy_blas", "vector_instructions"}
    assert {name: found[name] for name in same} == {name: here[name] for name in same}


def test_convolutions_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance._convolutions("cpu").startswith("oneDNN")
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert provenance._convolutions("cpu") == "torch"


def test_a_run_costs_no_look_at_the_machine() -> None:
    assert provenance.arithmetic("cpu") is provenance.arithmetic("cpu")


def test_a_run_on_a_gpu_says_which_driver_and_whether_it_comes_out_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "version"
    assert provenance.driver(file) == ""
    for text, number in (
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  Tue Jul 13", "470.57.02"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95  Release", "580.95"),
    ):
        file.write_text(f"{text}\nGCC version:  gcc version 11.4.0\n")
        provenance.driver.cache_clear()
        assert provenance.driver(file) == number
    monkeypatch.setattr(provenance, "driver", lambda: number)
    for same in (True, False):
        with numerics(torch.device("cuda"), deterministic=same):
            recorded = provenance.gpu(torch.device("cuda"))
        assert recorded == {"driver": number, "deterministic": same}
    assert provenance.gpu(torch.device("cpu")) == {}

"""Which GPUs workers have, on a machine that is said to have some."""

from pathlib import Path

import pytest
import torch

from oodbench.errors import RequestError
from oodbench.training.sizing import memory_bound
from oodbench.workers.executors.gpus import VISIBLE, chosen_gpus
from oodbench.workers.executors.slots import make_slots


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.delenv(VISIBLE, raising=False)


@pytest.mark.parametrize(
    ("visible", "asked", "device", "chosen"),
    [
        ("", [], "auto", "01234567"),
        ("", [], "cuda", "01234567"),
        ("", [], "cuda:3", "3"),
        ("", [], "cpu", ""),
        ("", ["1", "0"], "auto", "10"),
        ("4,5,6", [], "auto", "456"),
        ("4,5,6", ["0", "2"], "auto", "46"),  # positions among those that are visible
        ("4,5,6", [], "cuda:1", "5"),
        ("4,5,6", ["6"], "auto", "6"),
    ],
)
def test_gpus_are_counted_among_those_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, visible: str, asked: list[str], device: str, chosen: str
) -> None:
    monkeypatch.setenv(VISIBLE, visible)
    assert chosen_gpus(asked, device) == tuple(chosen)


def test_names_that_are_no_numbers_are_known_where_they_are_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VISIBLE, "GPU-8932f937, MIG-1f0c")
    assert chosen_gpus(["MIG-1f0c", "0"], "auto") == ("MIG-1f0c", "GPU-8932f937")
    with pytest.raises(RequestError, match="GPU 'GPU-1' is not visible here"):
        chosen_gpus(["GPU-1"], "auto")


@pytest.mark.parametrize(
    ("asked", "reason"), [(["8"], "'8' is not visible"), (["1", "1"], "named twice"), ([""], "''")]
)
def test_a_gpu_that_is_not_there_is_refused(asked: list[str], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        chosen_gpus(asked, "auto")


def test_without_a_gpu_what_is_asked_for_is_left_to_the_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert chosen_gpus([], "auto") == ()
    assert chosen_gpus(["0"], "cpu") == ("0",)


def test_workers_have_gpus_in_turn_and_know_how_many_share_one(tmp_path: Path) -> None:
    slots = make_slots(tmp_path, 5, ["4", "7"])
    assert [slot.gpu for slot in slots] == ["4", "7", "4", "7", "4"]
    assert {slot.sharing for slot in slots} == {3}
    assert {slot.gpu for slot in make_slots(tmp_path, 2)} == {None}


def test_a_worker_may_need_half_of_its_share_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gib, device = 2**30, torch.device("cuda")
    free = [63 * gib + 12_345, 63 * gib + 54_321, 10 * gib, 1000]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 64 * gib))
    bound = memory_bound(device)
    assert bound == 31 * gib
    free.pop(0)
    assert memory_bound(device) == bound, "some bytes more or less change nothing"
    monkeypatch.setenv("OODBENCH_WORKERS_ON_GPU", "4")
    assert memory_bound(device) == 8 * gib
    free.pop(0)
    assert memory_bound(device) == 5 * gib
    free.pop(0)
    assert memory_bound(device) == 500

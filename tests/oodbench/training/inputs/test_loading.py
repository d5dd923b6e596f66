"""Batches made ahead by threads are those that a step would make, to the bit, and end with it."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_helpers import CPU, make_trials, parameters

from oodbench.data import Rows
from oodbench.errors import StopTrainingError
from oodbench.machine import WORKERS_HERE
from oodbench.records import Trial
from oodbench.training import Saving, Tensors, train
from oodbench.training.inputs import loading as module
from oodbench.training.inputs.batches import BLOCK, Batches
from oodbench.training.inputs.loading import Loading, Maker, Pace, spare_cores
from oodbench.training.inputs.prefetching import MORE, Prefetcher
from oodbench.training.inputs.stored import Inputs, StoredInputs
from oodbench.training.loop import Run
from oodbench.training.outcome import provenance, records_of

SIZES, SEEDS, EACH, PIXELS = (40, 30), [3, 4], 4, 12
STEPS = BLOCK + 10
AROUND = range(BLOCK - 5, BLOCK + 5)
"""Steps whose indices are drawn in two blocks."""


class Slow:
    """Images that take some time to read; it notes how often they are read, and breaks on demand.

    Like images that are decoded when they are read, this is no array.
    """

    def __init__(self, images: np.ndarray[Any, Any], broken: int = -1, seconds: float = 0.0):
        self.images, self.broken, self.seconds, self.reads = images, broken, seconds, 0
        self.shape, self.dtype = images.shape, images.dtype

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: Any) -> Any:
        self.reads += 1
        time.sleep(self.seconds)
        if self.broken in np.asarray(which):
            raise ValueError(f"image {self.broken} is torn")
        return self.images[which]


def images() -> np.ndarray[Any, Any]:
    shape = (100, 3, PIXELS, PIXELS)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def tensors(stored: Any = None, augment: str = "domainbed", dtype: Any = torch.float32) -> Tensors:
    """Training examples that stay where they are stored, in another order than there."""
    rows = np.random.default_rng(1).permutation(100)[: sum(SIZES)]
    inputs = StoredInputs(Rows(images() if stored is None else stored, rows), dtype, CPU)
    labels = torch.arange(sum(SIZES)) % 2
    return Tensors(inputs, labels, SIZES, (), 2, shared=False, augment=augment)


def batches() -> Batches:
    return Batches(SIZES, {"per_environment": EACH}, SEEDS, CPU)


def on(device: torch.device, data: Tensors) -> Tensors:
    """The same, to be trained on there."""
    assert isinstance(data.inputs, StoredInputs)
    inputs = replace(data.inputs, device=device)
    return replace(data, inputs=inputs, labels=data.labels.to(device))


def made(
    data: Tensors, loaders: int | None, steps: range, device: torch.device = CPU
) -> list[torch.Tensor]:
    """Copies of the inputs and labels of some steps."""
    loading, draw, found = Loading(data, SEEDS, device, loaders), batches().at, []
    with loading.until(STEPS):
        for step in steps:
            batch = loading.at(step, draw)
            found += [batch.inputs.clone(), batch.labels.clone()]
    return found


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within some seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "spare_cores", lambda device: 3)


@pytest.mark.parametrize("loaders", [1, 3, None])
@pytest.mark.parametrize("augment", ["", "domainbed", "augmix"])
@pytest.mark.usefixtures("_many_cores")
def test_the_same_batches_to_the_bit(augment: str, loaders: int | None) -> None:
    data = tensors(augment=augment)
    expected = made(data, 0, AROUND)
    for ours, theirs in zip(made(data, loaders, AROUND), expected, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(expected[0], expected[2]), "steps have batches of their own"


def test_a_batch_stays_until_the_next_is_asked_for() -> None:
    data, draw = tensors(), batches().at
    ahead, own = Loading(data, SEEDS, CPU, 3), Maker(data, SEEDS, CPU)
    with ahead.until(STEPS):
        for step in range(20):
            batch = ahead.at(step, draw)
            time.sleep(0.005)  # the loaders overwrite what they may
            assert torch.equal(batch.inputs, own(draw(step), step).inputs)


def test_steps_that_read_no_batch_are_passed_over() -> None:
    """Replicas rest for some steps."""
    data, steps = tensors(), [0, 1, 4, 5, 30, 31, STEPS - 1, 2]
    expected = [made(data, 0, range(step, step + 1))[0] for step in steps]
    loading, draw = Loading(data, SEEDS, CPU, 2), batches().at
    with loading.until(STEPS):
        for step, inputs in zip(steps, expected, strict=True):
            assert torch.equal(loading.at(step, draw).inputs, inputs)


def test_no_more_is_read_ahead_than_there_is_room_for() -> None:
    stored, loaders = Slow(images()), 2
    loading, draw = Loading(tensors(stored, augment=""), SEEDS, CPU, loaders), batches().at
    with loading.until(STEPS):
        loading.at(0, draw)
        assert stored.reads == 1, "the first batch is the step's own"
        for step in range(1, 4):
            loading.at(step, draw)
            read = step + loaders + MORE  # this step's batch, and those ahead
            assert wait_for(lambda: stored.reads >= read)  # noqa: B023
            time.sleep(0.05)
            assert stored.reads == read


def test_no_batch_is_read_beyond_the_last_step() -> None:
    stored = Slow(images())
    made(tensors(stored, augment=""), 2, range(STEPS - 2, STEPS))
    assert stored.reads == 2


@pytest.mark.parametrize("loaders", [0, 2])
def test_what_a_loader_raises_the_step_raises(loaders: int) -> None:
    broken = tensors().inputs.rows.rows[batches().at(5).flatten()[0]]
    data = tensors(Slow(images(), broken=int(broken)), augment="")
    with pytest.raises(ValueError, match=f"image {broken} is torn") as caught:
        made(data, loaders, range(STEPS))
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "as_stored" in frames, "its own traceback, not only that of the wait"


def test_what_a_step_raises_ends_the_loaders_at_once() -> None:
    stored = Slow(images(), seconds=0.1)
    loading, draw, read = Loading(tensors(stored, augment=""), SEEDS, CPU, 1), batches().at, []

    def interrupted() -> None:
        with loading.until(STEPS):
            loading.at(0, draw)
            loading.at(1, draw)
            read.append(stored.reads)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stored.reads <= read[0] + 1, "the batch that is being made is finished, no other begun"


def test_examples_on_the_device_are_left_there() -> None:
    small = torch.rand(sum(SIZES), 3, PIXELS, PIXELS)
    plain = replace(tensors(), inputs=Inputs(small, torch.float32), augment="")
    assert Loading(plain, SEEDS, CPU, 4).loaders == 0
    assert Loading(plain, SEEDS, CPU, None).loaders == 0
    assert Loading(replace(plain, augment="domainbed"), SEEDS, CPU, 4).loaders == 4


def test_outside_of_a_run_no_thread_is_started() -> None:
    loading = Loading(tensors(), SEEDS, CPU, 2)
    loading.at(0, batches().at)
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def trial(**changes: Any) -> Trial:
    given = {"batch": {"per_environment": EACH}, "precision": "float32", "steps": 30}
    (found,) = make_trials(1, optimizer="adam", **given, **changes)
    return found


@pytest.mark.parametrize("loaders", [2, None])
@pytest.mark.usefixtures("_many_cores")
def test_a_run_becomes_the_same(loaders: int | None) -> None:
    found = []
    for number in (0, loaders):
        run = Run([trial()], tensors(), CPU, loaders=number)
        run.train(lambda: None)
        found.append(parameters(run, 0))
    assert torch.equal(*found)
    assert provenance(run, 0)["loaders"] == run.loading.loaders > 0


def test_a_run_goes_on_from_the_step_that_was_trained(tmp_path: Path) -> None:
    """Not from the batch that was read ahead; whatever the number of loaders on either side."""
    data, left, saving = tensors(), iter(range(20)), Saving(tmp_path, every=0.0)

    def stop() -> None:
        if next(left, None) is None:
            raise StopTrainingError("now")

    whole = Run([trial()], data, CPU, loaders=0)
    whole.train(lambda: None)
    with pytest.raises(StopTrainingError):
        train([trial()], data, tick=stop, saving=saving, loaders=3)
    (record,) = train([trial()], data, saving=saving, loaders=2)
    assert record.provenance["resumed_at"] == [21]
    (expected,) = records_of(whole)
    assert record.measurements == expected.measurements


def test_the_number_of_loaders_is_what_keeps_up_with_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of 6, 3 and 4 seconds, and 4 and 2 between: 1.5 * 3 / 2 loaders."""
    now = iter(np.cumsum([0, 6, 4, 3, 2, 4]))
    monkeypatch.setattr(Pace, "_now", lambda self: float(next(now)))
    pace = Pace(CPU)
    for _ in range(3):
        assert not pace.known
        with pace.of_a_batch():
            pass
    assert pace.known
    assert pace.loaders() == 3


@pytest.mark.parametrize(
    ("needed", "spare", "room", "expected"),
    [(0, 9, 99, 0), (4, 9, 99, 4), (4, 2, 99, 2), (4, 0, 99, 0), (4, 9, 5, 3), (4, 9, 1, 0)],
)
def test_as_many_as_are_of_use_have_cores_and_fit(
    monkeypatch: pytest.MonkeyPatch, needed: int, spare: int, room: int, expected: int
) -> None:
    """``room`` is the number of batches that memory may hold, of which two need no loader."""
    monkeypatch.setattr(Pace, "loaders", lambda self: needed)
    monkeypatch.setattr(module, "spare_cores", lambda device: spare)
    monkeypatch.setattr(module, "MEMORY", room * 2 * 2 * EACH * 3 * PIXELS**2 * 4)
    loading, draw = Loading(tensors(), SEEDS, CPU, None), batches().at
    with loading.until(STEPS):
        for step in range(module.TIMED):
            assert loading.loaders is None
            loading.at(step, draw)
    assert loading.loaders == expected


def test_a_next_to_free_batch_needs_no_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0, 0.019, 1.019, 1.038, 2.038, 2.057])
    monkeypatch.setattr(Pace, "_now", lambda self: next(now))
    pace = Pace(CPU)
    for _ in range(3):
        with pace.of_a_batch():
            pass
    assert pace.loaders() == 0


def test_cores_are_shared_among_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 16)
    for name in (WORKERS_HERE, "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert spare_cores(CPU) == 0, "taken for one of as many workers as there are cores"
    assert spare_cores(torch.device("cuda")) == 15
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert spare_cores(torch.device("cuda")) == 1
    monkeypatch.setenv(WORKERS_HERE, "4")
    assert spare_cores(CPU) == spare_cores(torch.device("cuda")) == 3
    monkeypatch.setenv(WORKERS_HERE, "16")
    assert spare_cores(CPU) == 0


class Stream:
    """Of a GPU, as far as it decides what waits for what: it keeps a list of what it was given."""

    def __init__(self, device: torch.device) -> None:
        self.queue: list[tuple[str, Any]] = []

    def record_event(self) -> object:
        event = object()
        self.queue.append(("event", event))
        return event

    def wait_event(self, event: object) -> None:
        self.queue.append(("wait", event))


def test_on_a_gpu_results_and_steps_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a place holds is read after it is made, and made anew after the step has read it."""
    gpu, local, lock = torch.device("cuda"), threading.local(), threading.Lock()
    local.stream = main = Stream(gpu)
    streams: list[Stream] = []

    @contextmanager
    def in_stream(stream: Stream) -> Iterator[None]:
        with lock:
            streams.append(stream)
        local.stream = stream
        yield
        del local.stream

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", in_stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: local.stream)

    def maker(place: int) -> Any:
        def make(indices: torch.Tensor, step: int) -> tuple[int, int]:
            local.stream.queue.append(("make", step))
            return place, step

        return make

    prefetcher = Prefetcher([maker(place) for place in range(4)], 2, gpu, STEPS)
    places = {}
    for step in [*range(20), 25, 26]:
        place, found = prefetcher.at(step, lambda step: torch.empty(0))
        assert found == step
        places[step] = place
        main.queue.append(("read", step))
    prefetcher.close()

    written = {}  # step -> what it was made after, and what shows that it is made
    for stream in set(streams):
        for waited, making, recorded in zip(*[iter(stream.queue)] * 3, strict=True):
            assert [kind for kind, _ in (waited, making, recorded)] == ["wait", "make", "event"]
            written[making[1]] = waited[1], recorded[1]
    order = {item: number for number, item in enumerate(main.queue)}
    for step in places:
        before, after = written[step]
        read = order["read", step]
        assert order["wait", after] < read
        earlier = [order["read", s] for s in places if s < step and places[s] == places[step]]
        assert max(earlier, default=-1) < order["event", before] < read


@pytest.mark.gpu
@pytest.mark.parametrize("augment", ["", "domainbed", "crop_flip", "augmix"])
def test_a_gpu_gets_the_same_batches(augment: str, device: torch.device) -> None:
    """To the bit whatever the number of loaders; and to rounding those of a CPU."""
    here = tensors(augment=augment)
    there = on(device, here)
    expected = made(there, 0, AROUND, device)
    for ours, theirs in zip(made(there, 3, AROUND, device), expected, strict=True):
        assert ours.device.type == device.type
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(made(here, 0, AROUND), expected, strict=True):
        torch.testing.assert_close(ours, theirs.cpu(), rtol=0, atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_trains_the_same(device: torch.device) -> None:
    found = []
    for loaders in (0, 3):
        run = Run([trial()], on(device, tensors()), device, loaders=loaders)
        run.train(lambda: None)
        found.append(parameters(run, 0))
    assert torch.equal(*found)

"""Where a worker trains: what the processes of torchrun get of its settings."""

import pytest
import torch

from oodbench.training.replicas import torchrun
from oodbench.training.replicas.processes import ProcessSettings
from oodbench.workers.place import placed
from oodbench.workers.worker_settings import WorkerSettings


def test_processes_of_torchrun_load_as_the_worker_was_asked_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    got: list[ProcessSettings] = []

    class Ranks(torchrun.Ranks):
        def __init__(self, device: torch.device, settings: ProcessSettings) -> None:
            self.rank, self.device, self.stopping = 0, device, False
            got.append(settings)

    monkeypatch.setattr(torchrun, "rank", lambda: 0)
    monkeypatch.setattr(torchrun, "Ranks", Ranks)
    for loaders in (None, 0, 3):
        settings = WorkerSettings(processes=True, loaders=loaders, replica_timeout=7.0)
        assert placed(torch.device("cpu"), settings, lambda: False) is not None
    assert [one.loaders for one in got] == [None, 0, 3]
    assert {one.timeout for one in got} == {7.0}

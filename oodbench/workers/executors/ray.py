"""Workers in Ray's actors, each with its share of a node (pip install 'oodbench[ray]').

An actor whose node is lost starts again elsewhere as soon as there is room; what it held is taken
again when its leases run out. Ray stores nothing for us.
"""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from oodbench.errors import RequestError
from oodbench.results import Database
from oodbench.sweep.machines import Ray
from oodbench.workers.executors.jobs import Job
from oodbench.workers.executors.local import Counts, watch
from oodbench.workers.executors.spread import SpreadJob

FOREVER = -1
"""Ray's word for: as often as needed."""
CONNECT_SECONDS = 10.0
"""How long a cluster may take to answer."""


class Host:
    """The actor: it runs a job, and ends it on request.

    Args:
        job: The job, or its part on one node.
        first: The actor of the first node, if this one is of another.
    """

    def __init__(self, job: Job, first: Any = None) -> None:
        if isinstance(job, SpreadJob):
            job = replace(job, board=Held() if first is None else Asked(first))
        self._job = job

    def run(self) -> None:
        """Keep the job's workers until nothing is left to train."""
        self._job()

    def end(self) -> None:
        """Let the workers give back what they hold."""
        self._job.stop()

    def board(self) -> str:
        """What the first node has written for the others."""
        return self._job.meeting.read() if isinstance(self._job, SpreadJob) else ""


class Held:
    """The first node's board."""

    def __init__(self) -> None:
        self._text = ""

    def write(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        return self._text


class Asked:
    """The board of another actor; while that one starts again on another node, this one waits."""

    def __init__(self, first: Any) -> None:
        self._first = first

    def write(self, text: str) -> None:
        raise NotImplementedError("only the first node writes")

    def read(self) -> str:
        import ray

        return str(ray.get(self._first.board.remote()))


def run_ray(
    db: Database,
    target: str,
    settings: Ray,
    job: Job,
    *,
    workers: int,
    on_progress: Callable[[Counts], None],
) -> None:
    """Keep actors until the sweep is done; they end with this process.

    Args:
        db: The database, to look at the progress.
        target: URL of the database, for the workers.
        settings: The sweep file's key ``ray``.
        job: What each actor runs.
        workers: How many workers, in all actors together.
        on_progress: See ``local.watch``.

    Raises:
        RequestError: If Ray is not installed, there is no cluster, or all actors have given up.
        KeyboardInterrupt: As it came; the workers have given back their trials by then.
    """
    ray = _connected(settings)
    given = {name: value for name, value in os.environ.items() if name.startswith("OODBENCH_")}
    job = replace(job, environment={**given, "OODBENCH_DB": target})
    hosts = [host for _ in range(settings.jobs(workers)) for host in _started(ray, settings, job)]
    try:
        tasks = [host.run.remote() for host in hosts]
        watch(db, job.sweep, partial(_ends, ray, tasks), on_progress)
    finally:
        ended = [host.end.remote() for host in hosts]
        ray.wait(ended, num_returns=len(ended), timeout=2 * job.grace)
        for host in hosts:
            ray.kill(host)
        ray.shutdown()


def parameters(settings: Ray) -> dict[str, Any]:
    """The settings as Ray takes them."""
    return {
        "num_cpus": settings.cpus,
        "num_gpus": settings.gpus_per_node,
        "resources": settings.resources or None,
        "max_restarts": FOREVER,
        "max_task_retries": FOREVER,
        # It can be asked to end, and where it has started the others, while it runs.
        "max_concurrency": 2 + settings.nodes_per_run,
    }


def _started(ray: Any, settings: Ray, job: Job) -> list[Any]:
    """The actors of one job: one, or one on each of several nodes, which Ray gives all at once."""
    actor, given = ray.remote(Host), parameters(settings)
    if not isinstance(job, SpreadJob):
        return [actor.options(**given).remote(job)]
    if job.nodes == 1:
        return [actor.options(**given).remote(replace(job, node=0))]
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    needs = {"CPU": settings.cpus, "GPU": settings.gpus_per_node, **settings.resources}
    bundle = {name: number for name, number in needs.items() if number}
    group = placement_group([bundle] * job.nodes, strategy="STRICT_SPREAD")
    hosts: list[Any] = []
    for node in range(job.nodes):
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=node)
        here = actor.options(**given, scheduling_strategy=place)
        hosts.append(here.remote(replace(job, node=node), *hosts[:1]))
    return hosts


def _connected(settings: Ray) -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise RequestError(
            f"The executor ray needs {error.name}: pip install 'oodbench[ray]'."
        ) from error
    _check_reachable(settings.address)
    try:
        ray.init(address=settings.address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(settings.address, error) from error
    return ray


def _check_reachable(address: str) -> None:
    """Ray itself would try for many minutes, and then end this process."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> RequestError:
    said = str(error).strip().splitlines()[0].removesuffix(".")
    return RequestError(
        f"No Ray cluster at {address!r}: {said}. Start one (`ray start --head`), or name it: "
        "--set ray.address=HOST:PORT."
    )


def _ends(ray: Any, tasks: list[Any]) -> str | None:
    """How the actors ended, if all have."""
    _, running = ray.wait(tasks, num_returns=len(tasks), timeout=0)
    if running:
        return None
    words = []
    for task in tasks:
        try:
            ray.get(task)
        except ray.exceptions.RayError as error:
            words.append(f"\n  {str(error).strip().splitlines()[-1]}")
    return "".join(dict.fromkeys(words))

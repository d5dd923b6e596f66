"""The recipe for Kubernetes: a Job in form, whose pods end as a Job's must. No cluster is asked."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

RECIPE = Path(__file__).parents[1] / "sweeps" / "kubernetes.yml"
JOB: dict[str, Any] = YAML(typ="safe").load(RECIPE)
POD: dict[str, Any] = JOB["spec"]["template"]["spec"]
(WORKER,) = POD["containers"]


def test_it_is_a_job_that_pulls() -> None:
    assert (JOB["apiVersion"], JOB["kind"]) == ("batch/v1", "Job")
    assert "completions" not in JOB["spec"], "a pod would be started for each"
    assert POD["restartPolicy"] == "Never", "a podFailurePolicy needs that"
    mounted = {item["name"] for item in WORKER["volumeMounts"]}
    assert mounted == {volume["name"] for volume in POD["volumes"]}
    assert [item["name"] for item in WORKER["env"]] == [
        "OODBENCH_DB",
        "OODBENCH_DATA",
        "OODBENCH_CACHE",
    ]
    assert "value" not in WORKER["env"][0], "a URL has a password in it: it belongs into a secret"


def pod(folder: Path, worker: str) -> "subprocess.Popen[bytes]":
    """The container's command, with a worker that is this shell script."""
    stand_in = folder / "oodbench"
    stand_in.write_text(f"#!/bin/sh\n{worker}\n")
    stand_in.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.Popen(WORKER["command"], cwd=folder, env={"PATH": path})


@pytest.mark.parametrize("code", [0, 3])
def test_a_pod_ends_as_its_worker_does(tmp_path: Path, code: int) -> None:
    assert pod(tmp_path, f'echo "$@" > asked; exit {code}').wait(20) == code
    assert (tmp_path / "asked").read_text() == "worker digits\n"


def test_a_pod_that_is_asked_to_stop_waits_for_its_worker_and_is_replaced(tmp_path: Path) -> None:
    worker = (
        "trap 'sleep 0.3; echo given back > ended; exit 0' TERM\n"
        "touch began; while :; do sleep 0.05; done"
    )
    process = pod(tmp_path, worker)
    deadline = time.monotonic() + 20
    while not (tmp_path / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert (tmp_path / "ended").read_text() == "given back\n"

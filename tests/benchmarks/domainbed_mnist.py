"""MNIST_CNN on ColoredMNIST, ERM and IRM: a sweep here against DomainBed's own train.py.

Both with DomainBed's defaults: 64 images an environment, Adam, 300 steps (DomainBed 301, to reach
its last evaluation), 4 evaluations; and both on all cores: DomainBed one run of many threads and
loaders, oodbench one run of one thread on each core. DomainBed scores all 70,000 images each time,
oodbench the 32,665 that a selection rule reads.

    python tests/benchmarks/domainbed_mnist.py --domainbed CHECKOUT --data FOLDER [--quick]

The checkout is of facebookresearch/DomainBed at b93c22a, with what it needs (timm 1.0.19)
importable; the folder has MNIST/raw with plain files. ``--quick`` times 20 steps and two
evaluations on each side, and extrapolates to a run. Where others use the machine too, the seconds
of CPU time say more than those of the clock.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

STEPS, QUICK_STEPS, EVALUATIONS, QUICK_EVALUATIONS = 300, 20, 4, 2
ADAM = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
ALGORITHMS: dict[str, Any] = {
    "erm": "erm",
    "irm": {  # DomainBed's penalty weight rises at step 500
        "name": "irm",
        "restart": "adam",
        "rescale": False,
        "space": {"penalty_weight": 100.0, "anneal_fraction": 1.0},
    },
}
Row = dict[str, Any]


def cpu_seconds() -> float:
    """Of all processes started here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def domainbed(algorithm: str, checkout: Path, data: Path, quick: bool) -> Row:
    """Seconds of a run of train.py, of a step (data and update) and of an evaluation."""
    steps = 1 + (QUICK_STEPS if quick else STEPS)  # evaluated after steps 1, 101, 201 and 301
    path = os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "domainbed.scripts.train", f"--data_dir={data}"]
        command += ["--dataset=ColoredMNIST", f"--algorithm={algorithm.upper()}", "--test_envs=2"]
        command += [f"--steps={steps}", f"--output_dir={out}"]
        results, seen = Path(out) / "results.jsonl", []
        start, cpu = time.perf_counter(), cpu_seconds()
        process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None:  # it writes a line after each evaluation
            lines = results.read_text().count("\n") if results.exists() else 0
            seen += [time.perf_counter()] * (lines - len(seen))
            time.sleep(0.05)
        seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        if process.returncode:
            sys.exit(f"DomainBed ended with exit code {process.returncode}; see why: {command}")
        records = [json.loads(line) for line in results.read_text().splitlines()]
    step = statistics.mean(record["step_time"] for record in records[1:])
    between = records[1]["step"] - records[0]["step"]
    evaluation = statistics.mean(b - a for a, b in pairwise(seen))
    evaluation -= between * step
    if quick:
        seconds += (STEPS - QUICK_STEPS) * step + (EVALUATIONS - len(records)) * evaluation
    return row("DomainBed", algorithm, seconds, None if quick else cpu, step, evaluation)


def row(
    program: str, algorithm: str, run: float, cpu: float | None, step: float, evaluation: float
) -> Row:
    """What the table says."""
    times = {"seconds a run": run, "CPU seconds": cpu, "runs an hour": 3600 / run}
    parts = {"seconds a step": step, "seconds an evaluation": evaluation}
    return {"program": program, "algorithm": algorithm, **times, **parts}


def sweep_of(algorithm: str, runs: int, steps: int, evaluations: int) -> dict[str, Any]:
    """DomainBed's defaults, trained on so many seeds."""
    return {
        "name": "benchmark",
        "datasets": [
            {
                "name": "ColoredMNIST",
                "test_environments": [2],
                "domainbed": {"seed": 0, "trial_seed": 0},
            }
        ],
        "algorithms": [ALGORITHMS[algorithm]],
        "optimizers": [{"name": "adam", "space": ADAM}],
        "model": {"name": "mnist_cnn"},
        "search": {"sampler": "random", "trials": 1, "seed": 0},
        "seeds": runs,
        "train": {
            "steps": steps,
            "batch": {"per_environment": 64},
            "evaluate_every": steps // evaluations,
        },
    }


def oodbench(algorithm: str, data: Path, quick: bool, rounds: int) -> Row:
    """The same of a sweep with a worker on each core.

    A step and an evaluation take a core; what they cost the machine is that divided by the cores.
    """
    from oodbench.machine import cores

    workers = cores()
    steps, evaluations = (QUICK_STEPS, QUICK_EVALUATIONS) if quick else (STEPS, EVALUATIONS)
    sweep = sweep_of(algorithm, rounds * workers, steps, evaluations)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(json.dumps(sweep))
        command = [sys.executable, "-m", "oodbench", "sweep", file, "--db", f"{folder}/runs.db"]
        command += ["--workers", str(workers), "--stack", "1", "--device", "cpu"]
        start, cpu = time.perf_counter(), cpu_seconds()
        environment = os.environ | {"OODBENCH_DATA": str(data)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds = (time.perf_counter() - start) / rounds  # of a run in each worker
        cpu = (cpu_seconds() - cpu) / (rounds * workers)
    step, evaluation = parts(algorithm, data, workers)
    if quick:
        seconds += (STEPS - steps) * step + (EVALUATIONS - evaluations) * evaluation
    shares = (seconds / workers, None if quick else cpu, step / workers, evaluation / workers)
    return row("oodbench", algorithm, *shares)


def parts(algorithm: str, data: Path, workers: int) -> tuple[float, float]:
    """Seconds of a step and of an evaluation of one run, while others run on the other cores."""
    command = [sys.executable, __file__, "--parts", algorithm, "--data", str(data)]
    environment = os.environ | {"OODBENCH_DATA": str(data), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    each = [json.loads(process.communicate()[0]) for process in processes]
    step, evaluation = map(statistics.mean, zip(*each, strict=True))
    return step, evaluation


def time_parts(algorithm: str) -> tuple[float, float]:
    """Seconds of a step (median of 20) and of an evaluation, in this process."""
    import torch

    from oodbench.data import DATASETS
    from oodbench.records import Trial
    from oodbench.training import load
    from oodbench.training.evaluation import evaluate
    from oodbench.training.loop import Run
    from oodbench.workers.place import find_device

    device = find_device("cpu")  # as a worker does
    dataset = DATASETS.get("ColoredMNIST").load({"domainbed": {"seed": 0, "trial_seed": 0}}, 0)
    data = load(dataset, (2,), device, torch.float32)
    trial = Trial(
        dataset="ColoredMNIST",
        fingerprint=dataset.fingerprint,
        test_environments=(2,),
        model="mnist_cnn",
        algorithm=algorithm,
        algorithm_options={"restart": "adam", "rescale": False} if algorithm == "irm" else {},
        optimizer="adam",
        hparams=ADAM | (ALGORITHMS["irm"]["space"] if algorithm == "irm" else {}),
        steps=STEPS,
        batch={"per_environment": 64},
        evaluate_every=STEPS,
        seed=0,
    )
    run, times = Run([trial], data, device, stacked=False), []
    for step in range(21):
        start = time.perf_counter()
        run.step(step)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    evaluate(run.models, data.evaluation, 1, 1, data.num_classes)
    return statistics.median(times[1:]), time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domainbed", type=Path, default=os.environ.get("OODBENCH_DOMAINBED"))
    parser.add_argument("--data", type=Path, default=os.environ.get("OODBENCH_DATA"))
    parser.add_argument("--algorithms", nargs="+", default=list(ALGORITHMS), choices=ALGORITHMS)
    parser.add_argument("--rounds", type=int, default=1, help="runs of each of our workers")
    parser.add_argument("--quick", action="store_true", help="20 steps and 2 evaluations")
    parser.add_argument("--parts", choices=ALGORITHMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parts:
        print(json.dumps(time_parts(options.parts)))
        return
    if options.data is None or options.domainbed is None:
        parser.error("needs --domainbed (or OODBENCH_DOMAINBED) and --data (or OODBENCH_DATA)")

    import pandas as pd

    for algorithm in options.algorithms:
        ours = oodbench(algorithm, options.data, options.quick, options.rounds)
        theirs = domainbed(algorithm, options.domainbed, options.data, options.quick)
        print(pd.DataFrame([theirs, ours]).round(3).to_string(index=False))
        print(f"ratio of runs an hour: {theirs['seconds a run'] / ours['seconds a run']:.2f}\n")


if __name__ == "__main__":
    main()

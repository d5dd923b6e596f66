"""RSI and EB along the path: identities that hold at every step, and what noise gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from path_helpers import CONTESTANTS, SGD, STEPS, trial

from oodbench.probes.noise import noise_paths
from oodbench.probes.path import Path, measurements
from oodbench.probes.recording import record_paths, retrain
from oodbench.records import Trial
from oodbench.training import Tensors
from oodbench.training.loop import Run

CPU = torch.device("cpu")


def walk(data: Tensors, what: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Every weight vector of a run and every gradient, kept: (T + 1, P) and (T, P)."""
    run, points, gradients = Run([what], data, CPU), [], []

    def keep(run: Run, step: int) -> None:
        if len(points) == step:
            points.append(run.models.vectors()[0][0].double().numpy().copy())
            gradients.append(run.models.vectors()[1][0].double().numpy().copy())

    run.on_gradients = keep
    run.train(lambda: None)
    points.append(run.models.vectors()[0][0].double().numpy())
    return np.array(points), np.array(gradients)


def test_updates_are_seen_in_float64_too(colored64: Tensors) -> None:
    """There the weights that are compared are the very memory that the optimizers write to."""
    (path,), _ = record_paths([trial(precision="float64")], colored64, CPU)
    np.testing.assert_allclose(path.update, SGD["lr"] * path.gradient, rtol=1e-9)
    np.testing.assert_allclose(path.alignment, path.gamma, rtol=1e-9)


@pytest.mark.parametrize("optimizer", CONTESTANTS)
def test_it_is_what_the_kept_path_says(colored32: Tensors, optimizer: str) -> None:
    what = trial(optimizer)
    (path,), again = record_paths([what], colored32, CPU)
    points, gradients = walk(colored32, what)
    d, u = points[:-1] - points[-1], np.diff(points, axis=0)
    inner = (gradients * d).sum(1)
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(path.rsi, inner / (d**2).sum(1), **close)
    np.testing.assert_allclose(
        path.eb, np.linalg.norm(gradients, axis=1) / np.linalg.norm(d, axis=1), **close
    )
    np.testing.assert_allclose(path.gamma, path.rsi / path.eb, **close)
    np.testing.assert_allclose(path.best_lr, path.rsi / path.eb**2, **close)
    cosine = -(u * d).sum(1) / np.linalg.norm(u, axis=1) / np.linalg.norm(d, axis=1)
    np.testing.assert_allclose(path.alignment, cosine, rtol=1e-7, atol=1e-9)
    assert path.alignment[-1] == pytest.approx(1)  # the last update ends at w*
    assert path.last == 0
    assert torch.equal(again.end[0].double(), torch.from_numpy(points[-1]))


def test_one_gradient_step_contracts_as_the_identity_says(colored32: Tensors) -> None:
    """||w - e g - w*||^2 = ||d||^2 (1 - 2 e RSI + e^2 EB^2), 1 - gamma^2 at the best e."""
    points, gradients = walk(colored32, trial("momentum"))
    (path,), _ = record_paths([trial("momentum")], colored32, CPU)
    d = points[:-1] - points[-1]
    for e in (np.full(STEPS, 0.05), path.best_lr):
        stepped = ((d - e[:, None] * gradients) ** 2).sum(1) / (d**2).sum(1)
        expected = 1 - 2 * e * path.rsi + e**2 * path.eb**2
        np.testing.assert_allclose(stepped, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(expected, 1 - path.gamma**2, rtol=1e-9)


def test_sgd_itself_contracts_so(colored32: Tensors) -> None:
    (path,), _ = record_paths([trial()], colored32, CPU)
    ratio = np.append(path.distance[1:], path.last) ** 2 / path.distance**2
    expected = 1 - 2 * SGD["lr"] * path.rsi + (SGD["lr"] * path.eb) ** 2
    np.testing.assert_allclose(ratio[:-1], expected[:-1], rtol=1e-4)
    np.testing.assert_allclose(path.alignment, path.gamma, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_stack_records_what_each_gives_alone(colored32: Tensors, stacked: bool) -> None:
    trials = [trial(name, seed=i) for i, name in enumerate(CONTESTANTS)]
    together, _ = record_paths(trials, colored32, CPU)
    for what, path in zip(trials, together, strict=True):
        (alone,), _ = record_paths([what], colored32, CPU, stacked=stacked)
        close = {"rtol": 1e-12} if stacked else {"rtol": 0.05, "atol": 0.01}
        np.testing.assert_allclose(path.gamma[: STEPS // 2], alone.gamma[: STEPS // 2], **close)


def test_with_another_seeds_end_point_it_never_arrives(colored32: Tensors) -> None:
    other = retrain([trial(seed=1)], colored32, CPU).end
    (own,), _ = record_paths([trial()], colored32, CPU)
    (foreign,), _ = record_paths([trial()], colored32, CPU, end=other)
    assert foreign.last > 0.5
    assert foreign.gamma[-10:].mean() < own.gamma[-10:].mean() / 3


def test_evaluating_is_no_part_of_it(colored32: Tensors) -> None:
    often = replace(trial(), evaluate_every=1)
    (one,), _ = record_paths([trial()], colored32, CPU)
    (other,), _ = record_paths([often], colored32, CPU)
    np.testing.assert_array_equal(one.gamma, other.gamma)


def test_noise_alone_gives_the_known_null(colored32: Tensors) -> None:
    """SGD on white noise of constant length: gamma is 1 / sqrt(T - t) on average."""
    trials = [trial(seed=s, steps=STEPS) for s in range(6)]
    flat = [np.ones(STEPS)] * 5
    nulls = noise_paths(trials, [Path(*flat, last=0.0)] * 6, colored32, CPU)
    gammas = np.array([path.gamma for path in nulls])
    assert (gammas > 0).all()  # positivity is no evidence
    # In P dimensions the cosine of one draw scatters by 1 / sqrt(P), about 0.03 here.
    np.testing.assert_allclose(gammas.mean(0), nulls[0].noise, atol=5 * 0.03 / 6**0.5)
    assert (gammas.mean(0) / nulls[0].noise).mean() == pytest.approx(1, abs=0.05)
    assert all(path.last == 0 for path in nulls)


def test_training_beats_the_null(colored32: Tensors) -> None:
    trials = [trial(name) for name in CONTESTANTS]
    paths, _ = record_paths(trials, colored32, CPU)
    nulls = noise_paths(trials, paths, colored32, CPU)
    for path, null in zip(paths, nulls, strict=True):
        assert np.median(path.gamma / null.gamma) > 1


def test_measurements() -> None:
    series = np.arange(1.0, 7.0)
    path = Path(*[series] * 5, last=0.0)
    found = measurements(path, null=series, every=3)
    assert {m.step for m in found} == {0, 3}
    assert {m.metric for m in found} == {
        *("path_distance", "path_rsi", "path_eb", "path_gamma", "path_best_lr"),
        *("path_alignment", "path_gamma_null"),
    }
    assert {m.role for m in found} == {"train"}

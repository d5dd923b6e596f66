"""TPE and GP by ask and tell: what they propose, and that they are worth asking."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from oodbench.spaces import Choice, Range, Space, log, one_minus_log
from oodbench.sweep.search import ADAPTIVE, Tried, draw, propose

SPACE: Space = {
    "lr": log(1e-4, 1.0),
    "momentum": one_minus_log(0.5, 0.99),
    "width": Range(1, 9, "int"),
    "constant": Choice((0.5,)),
}


def smooth(hparams: Mapping[str, Any]) -> float:
    """A quadratic in the natural coordinates of ``SPACE``; its maximum, 0, is inside it."""
    lr, momentum = math.log10(hparams["lr"]) + 1.5, math.log10(1 - hparams["momentum"]) + 1.2
    return -(lr**2) - momentum**2 - 0.01 * (hparams["width"] - 4) ** 2


def search(sampler: str, trials: int, seed: int, startup: int = 16, cohort: int = 8) -> list[Tried]:
    tried: list[Tried] = []
    while len(tried) < trials:
        n = min(cohort, trials - len(tried))
        proposals = propose(SPACE, sampler, tried, n, startup=startup, seed=seed)
        tried += [Tried(item.hparams, smooth(item.hparams)) for item in proposals]
    return tried


def test_tpe_beats_random_search_at_equal_budget_on_a_smooth_landscape() -> None:
    seeds, trials = range(20), 64
    random = [max(map(smooth, draw(SPACE, trials, seed))) for seed in seeds]
    tpe = [max(float(item.score or 0) for item in search("tpe", trials, seed)) for seed in seeds]
    wins = sum(one > other for one, other in zip(tpe, random, strict=True))
    assert wins >= 15  # of 20; by chance in one case of 50
    assert sum(tpe) > 0.6 * sum(random)  # both are negative: what is missing to the maximum


@pytest.mark.slow  # a GP thinks for half a second
def test_gp_beats_random_search_at_equal_budget_on_a_smooth_landscape() -> None:
    seeds, trials = range(4), 32
    random = [max(map(smooth, draw(SPACE, trials, seed))) for seed in seeds]
    gp = [max(float(item.score or 0) for item in search("gp", trials, seed)) for seed in seeds]
    assert sum(gp) > 0.2 * sum(random)


@pytest.mark.parametrize("sampler", ADAPTIVE)
def test_the_first_ones_are_those_of_the_random_search(sampler: str) -> None:
    tried: list[Tried] = []
    for n in (5, 3):
        proposals = propose(SPACE, sampler, tried, n, startup=8, seed=3)
        assert {item.sampler for item in proposals} == {"random"}
        tried += [Tried(item.hparams) for item in proposals]
    # Nothing has ended: there is nothing to learn from, however many were tried.
    more = propose(SPACE, sampler, tried, 2, startup=8, seed=3)
    assert {item.sampler for item in more} == {"random"}
    drawn = [item.hparams for item in tried] + [item.hparams for item in more]
    assert drawn == draw(SPACE, 10, seed=3)


@pytest.mark.parametrize("sampler", ADAPTIVE)
def test_proposals_lie_in_the_space_and_depend_on_history_and_seed_alone(sampler: str) -> None:
    kinds = [{}, {"score": -math.inf}, {"failed": True}]  # not ended, diverged, failed
    designed = draw(SPACE, 12, seed=1)
    tried = [Tried(hparams, smooth(hparams)) for hparams in designed[:6]]
    tried += [Tried(hparams, **kinds[i % 3]) for i, hparams in enumerate(designed[6:])]
    found = propose(SPACE, sampler, tried, 2, startup=8, seed=1)
    assert [item.sampler for item in found] == [sampler] * 2
    assert found == propose(SPACE, sampler, tried, 2, startup=8, seed=1)
    assert found != propose(SPACE, sampler, tried, 2, startup=8, seed=2)
    for item in found:
        assert item.hparams.keys() == SPACE.keys()
        assert 1e-4 <= float(item.hparams["lr"]) <= 1.0
        assert 0.5 <= float(item.hparams["momentum"]) <= 0.99
        assert item.hparams["width"] in range(1, 10)
        assert item.hparams["constant"] == 0.5


@pytest.mark.parametrize("known", [{"score": -math.inf}, {"failed": True}])
def test_where_every_run_went_wrong_the_search_stays_random(known: dict[str, Any]) -> None:
    tried = [Tried(hparams, **known) for hparams in draw(SPACE, 8, seed=1)]
    found = propose(SPACE, "gp", tried, 2, startup=8, seed=1)
    assert [item.hparams for item in found] == draw(SPACE, 10, seed=1)[8:]


def test_nothing_is_proposed_twice_and_a_small_space_is_tried_out() -> None:
    space = {"a": Choice(("x", "y", "z")), "b": Range(1, 3, "int")}
    tried: list[Tried] = []
    for n in (4, 3, 5):
        found = propose(space, "tpe", tried, n, startup=4, seed=0)
        tried += [Tried(item.hparams, float(item.hparams["b"])) for item in found]
    assert len(tried) == len({tuple(item.hparams.items()) for item in tried}) == 9
    assert propose(space, "tpe", tried, 4, startup=4, seed=0) == []


def test_what_optuna_would_have_sampled_is_found_again() -> None:
    for hparams in draw(SPACE, 50, seed=5):
        for name, what in SPACE.items():
            sampled = what.sampled(hparams[name])
            assert what.distribution()._contains(what.distribution().to_internal_repr(sampled))
            assert what.value(sampled) == hparams[name]
    assert SPACE["momentum"].sampled(0.99) == pytest.approx(0.01)
    assert SPACE["momentum"].sampled(0.5) == 0.5

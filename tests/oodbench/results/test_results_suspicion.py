"""Healthy runs are not failed because workers die around them, and a true killer is found."""

import heapq
import random
from itertools import count

import pytest
from results_helpers import make_study, make_trial

from oodbench.records import RunRecord
from oodbench.results import (
    Claim,
    Database,
    abandon,
    add_sweep,
    claim,
    is_done,
    open_database,
    state_counts,
    store_runs,
)
from oodbench.results.suspicion import Background, is_beyond_chance

WORKERS, STACK = 3, 8
START, FIXED, EACH = 1.0, 1.0, 0.15
"""Seconds: to start a worker, to train a cohort, and for each run of it."""


def test_the_rule_is_a_probability_worked_by_hand() -> None:
    nothing, calm = Background(0, 0, 1), Background(0, 98, 1)
    assert nothing.risk == 1 / 2
    assert [is_beyond_chance(n, nothing) for n in (13, 14)] == [False, True]  # 2^-13, 2^-14
    assert calm.risk == 1 / 100
    assert [is_beyond_chance(n, calm) for n in (2, 3)] == [False, True]  # never below three
    rough = Background(deaths=29, ended=29, suspects=20)
    assert rough.risk == 59 / 89  # each death twice
    assert [is_beyond_chance(n, rough) for n in (29, 30)] == [False, True]  # 20 p^29 = 0.00013


@pytest.mark.parametrize("risk", [0.1, 0.4])
def test_healthy_runs_are_seldom_beyond_chance(risk: float) -> None:
    """Of 400 sweeps with 60 runs that are trained alone, each death by itself, in any order."""
    draw, false = random.Random(f"suspicion {risk}"), 0
    for _ in range(400):
        died = ended = suspects = 0
        for _ in range(60):
            deaths = next(n for n in count() if draw.random() >= risk)
            others = Background(died, ended, suspects + 1)
            false += is_beyond_chance(deaths, others)
            died, ended, suspects = died + deaths, ended + 1, suspects + (deaths > 0)
    assert false / 400 < 0.01


def simulated(db: Database, kills: int, every: float, killer: str, seed: int) -> int:
    """Train what waits with workers of which one is killed now and then; how many were killed.

    Time is simulated; the queue is the real one. The run ``killer`` kills its worker by itself.
    """
    draw, names, killed = random.Random(seed), count(), 0
    held: dict[str, list[Claim]] = {}
    events = [(0.0, next(names), "start", "") for _ in range(WORKERS)]
    events.append((draw.expovariate(1 / every), next(names), "kill", ""))
    heapq.heapify(events)
    while events and not is_done(db):
        now, number, what, owner = heapq.heappop(events)
        if what == "kill":
            if held and killed < kills:
                killed += 1
                dead = draw.choice(sorted(held))
                abandon(db, dead)
                del held[dead]
                heapq.heappush(events, (now + START, next(names), "start", ""))
            if killed < kills:
                later = now + draw.expovariate(1 / every)
                heapq.heappush(events, (later, next(names), "kill", ""))
            continue
        if what == "end" and owner not in held:
            continue  # it was killed
        if what == "end":
            mine = held.pop(owner)
            if killer in {one.run for one in mine}:
                abandon(db, owner)
            else:
                store_runs(db, [(one, RunRecord(one.trial, "completed")) for one in mine])
        owner = f"worker {number}"
        if claims := claim(db, owner, size=STACK, lease=1e6):
            held[owner] = claims
            ends = now + FIXED + EACH * len(claims)
            heapq.heappush(events, (ends, next(names), "end", owner))
        else:
            heapq.heappush(events, (now + 0.5, next(names), "start", ""))
    return killed


@pytest.mark.parametrize(
    ("runs", "kills", "killer"),
    [
        (96, 60, False),
        (96, 60, True),
        (96, 0, True),
        pytest.param(384, 300, True, marks=pytest.mark.slow),
        pytest.param(384, 300, False, marks=pytest.mark.slow),
    ],
)
def test_random_kills_fail_no_run_and_hide_no_killer(
    tmp_path, runs: int, kills: int, killer: bool
) -> None:
    trials = [make_trial(i) for i in range(runs)]
    for seed in range(2):
        with open_database(tmp_path / f"{seed}.db", create=True) as db:
            add_sweep(db, "sweep", {}, [make_study(trials)])
            guilty = trials[runs // 3].id if killer else ""
            assert simulated(db, kills, 0.7, guilty, seed) >= 0.8 * kills
            counts = state_counts(db)
            assert (counts["failed"], counts["completed"]) == (killer, runs - killer)

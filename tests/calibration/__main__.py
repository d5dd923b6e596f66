"""Measure the rules on simulated studies of known truth: ``make calibrate``, or one ``PART=``.

Prints a table a part: a row a scenario, with the mean over its studies of each quantity, the range
where it should lie, and the standard error of that mean. Half an hour on two cores.
"""

import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module

import numpy as np
import threadpoolctl

from .rates import Ends, Rate, Scenario, measure

PARTS = ("panels", "ranks", "tasks", "spaces", "curves")

PROCESSES = 2


def main(wanted: list[str]) -> None:
    """Print the parts that are named, all of them if none is; fail if a rate is missed."""
    unknown = set(wanted) - set(PARTS)
    if unknown:
        sys.exit(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    missed = 0
    with ProcessPoolExecutor(
        PROCESSES, initializer=threadpoolctl.threadpool_limits, initargs=(1,)
    ) as pool:
        for part in wanted or PARTS:
            module = import_module(f"tests.calibration.{part}")
            scenarios = list(module.scenarios())
            start = time.monotonic()
            print(f"\n**{(module.__doc__ or '').splitlines()[0].rstrip('.')}**\n", flush=True)
            found = pool.map(measure, scenarios)
            missed += print_table(scenarios, found)
            print(f"\n({time.monotonic() - start:.0f} s)", flush=True)
    if missed:
        sys.exit(f"{missed} rates are outside of where they should be")


def print_table(scenarios: Iterable[Scenario], found: Iterable[Mapping[str, Rate]]) -> int:
    """Print a table in Markdown, row by row; return how many rates were missed."""
    missed, head = 0, None
    for scenario, rates in zip(scenarios, found, strict=True):
        if head != (head := list(rates)):
            names = [f"{name}{_range(scenario.nominal.get(name))}" for name in rates]
            print(f"| scenario | {' | '.join(names)} | studies |")
            print(f"|---|{'--:|' * (len(names) + 1)}")
        cells = " | ".join(_cell(name, rate) for name, rate in rates.items())
        print(f"| {scenario.name} | {cells} | {scenario.studies} |", flush=True)
        missed += sum(rate.missed for rate in rates.values())
    return missed


def _range(nominal: Ends | None) -> str:
    if nominal is None:
        return ""
    low, high = (f"{100 * end:.0f}" for end in nominal)
    if nominal[0] <= 0:
        return f" (at most {high}%)"
    return f" (at least {low}%)" if nominal[1] >= 1 else f" ({low} to {high}%)"


def _cell(name: str, rate: Rate) -> str:
    if not np.isfinite(rate.value):
        return "-"
    if "points" in name:
        return f"{rate.value:.2f}"
    return (
        f"{'**' * rate.missed}{100 * rate.value:.1f} ± {100 * rate.error:.1f}{'**' * rate.missed}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

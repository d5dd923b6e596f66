"""Statements on ID against OOD accuracy, which need no run to be selected."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ..claims.claim import FAILS, HOLDS, UNDECIDED
from ..curves.return_curves import Key
from ..curves.verdicts import NOT_DETERMINED, VERDICTS, ReturnCurve
from ..runs.columns import GROUP
from ..runs.names import pretty
from .sentences import SUBJECT, Row, ends, signed

WORSE_AT_EQUAL_ID = "Adaptive optimizers are worse in OOD accuracy at equal ID accuracy"
RETURNS = "Return type"
SPECIFIED = "The split is well specified"
ROBUST = "Effective robustness"

DIFFERS = "differs by optimizer"

WELL_SPECIFIED = {"yes": HOLDS, "no": FAILS, "undecided": UNDECIDED}


def claims_at_equal_id(table: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[dict[str, str]]:
    """WORSE_AT_EQUAL_ID, from every pair of an adaptive and a non-adaptive optimizer."""
    if table.empty or "optimizer_kind" not in pairs.columns:
        return
    kind = pairs.drop_duplicates("optimizer").set_index("optimizer")["optimizer_kind"]
    swap = {"higher": "lower", "lower": "higher"}
    for key, rows in table.groupby(list(GROUP), sort=False):
        found: Counter[str] = Counter()
        for row in rows.to_dict("records"):
            sides = (kind.get(row["a"]), kind.get(row["b"]))
            verdict = str(row["verdict"])
            if sides == ("non-adaptive", "adaptive"):
                verdict = swap.get(verdict, verdict)
            elif sides != ("adaptive", "non-adaptive"):
                continue
            found[verdict] += 1
        if not found:
            continue
        comparable = found.total() - found["not comparable"]
        against = found["higher"] + found["no difference"]
        verdict = UNDECIDED  # also where most pairs cannot be compared
        if 2 * comparable > found.total() and comparable in (found["lower"], against):
            verdict = FAILS if against else HOLDS
        counted = ", ".join(f"{count} {name}" for name, count in found.items() if count)
        yield {
            "claim": WORSE_AT_EQUAL_ID,
            **dict(zip(GROUP, map(str, key), strict=True)),
            "verdict": verdict,
            "sentence": f"{SUBJECT}: OOD accuracy at equal ID accuracy, of {found.total()} pairs "
            f"with another: {counted}",
            "evidence": f"pairs of an adaptive and a non-adaptive optimizer: {counted}",
        }


def claims_of_returns(curves: Mapping[Key, ReturnCurve]) -> Iterator[dict[str, str]]:
    """RETURNS: the verdict that every optimizer's curve shares, of those that have one."""
    groups: dict[Key, dict[str, list[str]]] = {}
    for key, curve in curves.items():
        groups.setdefault(key[:-1], {}).setdefault(curve.verdict, []).append(pretty(key[-1]))
    for group, found in groups.items():
        determined = [verdict for verdict in VERDICTS[:-1] if verdict in found]
        verdict = determined[0] if len(determined) == 1 else NOT_DETERMINED
        by_verdict = [f"{name}: {', '.join(found[name])}" for name in VERDICTS if name in found]
        disagreeing = [
            f"{pretty(key[-1])} {curve.disagreement}"
            for key, curve in curves.items()
            if key[:-1] == group and curve.disagreement
        ]
        by_name = [f"{name} ({', '.join(found[name])})" for name in VERDICTS if name in found]
        yield {
            "claim": RETURNS,
            **dict(zip(GROUP, group, strict=True)),
            "verdict": DIFFERS if len(determined) > 1 else verdict,
            "sentence": f"returns of ID accuracy: {'; '.join(by_name)}",
            "evidence": "; ".join([*by_verdict, *disagreeing]),
        }


def claims_of_lines(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """SPECIFIED, with the line on probit axes, for each panel of ``accuracy_on_the_line``."""
    for row in table.to_dict("records"):
        numbers = f"{_measured(row, 'slope')}, {_measured(row, 'correlation')}"
        good = f"among the {row['n_good']:,} best in distribution"
        goes = {
            "yes": f"higher ID accuracy goes with lower OOD accuracy {good}",
            "no": f"not well specified, higher ID accuracy goes with higher OOD accuracy {good}",
            "undecided": f"undecided whether ID and OOD accuracy go together {good}",
        }[str(row["well_specified"])]
        yield {
            "claim": SPECIFIED,
            **{name: str(row[name]) for name in GROUP},
            "verdict": WELL_SPECIFIED[str(row["well_specified"])],
            "sentence": f"line of {row['n']:,} models on probit axes: {numbers}; {goes}",
            "evidence": f"{_measured(row, 'correlation_good')} {good}",
        }


def _measured(row: Row, name: str) -> str:
    """A measured value in words, such as ``slope 0.71 (0.65 to 0.77)``."""
    value, low, high = (row[f"{name}{part}"] for part in ("", "_low", "_high"))
    word = name.removesuffix("_good")
    if not np.isfinite(value):
        return f"{word} not known"
    between = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
    return f"{word} {value:.2f}{between}".replace("-", "\N{MINUS SIGN}")


def claims_of_robustness(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """ROBUST: each optimizer against the baseline of ``effective_robustness``."""
    if table.empty:
        return
    for key, rows in table.groupby(list(GROUP), sort=False):
        found = rows.to_dict("records")
        verdicts = list(dict.fromkeys(str(row["verdict"]) for row in found))
        differences = ", ".join(f"{pretty(str(row['optimizer']))} {_beyond(row)}" for row in found)
        yield {
            "claim": ROBUST,
            **dict(zip(GROUP, map(str, key), strict=True)),
            "verdict": verdicts[0] if len(verdicts) == 1 else DIFFERS,
            "sentence": f"OOD accuracy beyond that of {pretty(str(found[0]['baseline']))} at equal "
            f"ID accuracy: {differences}",
            "evidence": ", ".join(
                f"{pretty(str(row['optimizer']))}: {row['verdict']}, n = {row['n']:,} in its range "
                f"({row['outside']:,} outside)"
                for row in found
            ),
        }


def _beyond(row: Row) -> str:
    if not np.isfinite(row["difference"]):
        return "not comparable"
    return f"{signed(row['difference'])} points ({ends(row['low'], row['high'])})"

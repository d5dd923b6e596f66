"""Claims judged by simulated searches of known difference; what is wrong in a claim file."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from analysis import Claim, claim_badge, judge_claim
from analysis.claims.claim import EXPECTED, shipped
from oodbench.errors import RequestError, UnknownNameError

STATED = {
    "claim": "A is worse than B",
    "source": "Nobody 2026",
    "a": "adam",
    "b": "sgd",
    "expect": ["lower"],
    "refuted": "A is better.",
}


def searches(less: float, datasets: tuple[str, ...] = ("X",), trials: int = 60) -> pd.DataFrame:
    """Two searches a dataset; the OOD accuracy of adam is so much less than that of sgd."""
    rng = np.random.default_rng(0)
    rows = []
    for dataset in datasets:
        quality = rng.uniform(0.5, 0.9, trials)
        for optimizer, off in (("adam", less), ("sgd", 0.0)):
            for draw in range(trials):
                score = quality[draw] + rng.normal(0, 0.004)
                rows.append(
                    {
                        "run": f"{dataset}-{optimizer}-{draw}",
                        "config_id": f"{dataset}-{optimizer}-{draw}",
                        "seed": draw,
                        "dataset": dataset,
                        "test_environments": "0",
                        "algorithm": "erm",
                        "optimizer": optimizer,
                        "optimizer_kind": "adaptive" if optimizer == "adam" else "non-adaptive",
                        "status": "completed",
                        "id": score,
                        "id_val": score,
                        "ood": score - off - 0.1,
                        "shift": "correlation" if dataset == "X" else "diversity",
                    }
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("less", "expect", "verdict"),
    [
        (0.05, ["lower"], "holds"),
        (0.05, ["higher"], "does not hold"),
        (0.05, ["no difference", "higher"], "does not hold"),
        (0.0, ["no difference"], "holds"),
        (0.0, ["no difference", "higher"], "holds"),
        (0.0, ["lower"], "does not hold"),
        (-0.05, ["lower"], "does not hold"),
    ],
)
def test_a_known_difference_decides_a_claim(less: float, expect: list[str], verdict: str) -> None:
    judged = judge_claim(Claim.of({**STATED, "expect": expect}), searches(less))
    assert judged.word == verdict
    assert judged.runs == 120


def test_the_sides_of_a_claim_are_compared_in_its_order() -> None:
    turned = {**STATED, "a": "sgd", "b": "adam", "expect": ["higher"]}
    judged = judge_claim(Claim.of(turned), searches(0.05))
    assert judged.word == "holds"
    assert "SGD less Adam in OOD accuracy +" in judged.reasons[0]


def test_kinds_are_compared_too() -> None:
    stated = {key: value for key, value in STATED.items() if key not in ("a", "b")}
    assert judge_claim(Claim.of(stated), searches(0.05)).word == "holds"
    assert "adaptive less non-adaptive" in judge_claim(Claim.of(stated), searches(0.05)).reasons[0]


def returns(shape: Callable[[Any], Any], runs: int = 150) -> pd.DataFrame:
    """Searches of two optimizers whose OOD accuracy is ``shape`` of their ID accuracy."""
    table = searches(0.0, trials=runs)
    rng = np.random.default_rng(1)
    table["id"] = table["id_val"] = rng.uniform(0.4, 0.9, len(table))
    table["ood"] = shape(table["id"]) + rng.normal(0, 0.01, len(table))
    return table


@pytest.mark.parametrize(
    ("shape", "verdict", "kind"),
    [
        (lambda x: 0.1 + 0.8 * x, "holds", "linear"),
        (lambda x: 0.1 + x**4, "holds", "increasing"),
        (lambda x: 0.5 + 0 * x, "does not hold", "flat"),
        (lambda x: 0.9 - 0.8 * x, "does not hold", "inverse"),
    ],
)
def test_returns_of_a_known_type_decide_a_claim_about_them(
    shape: Callable[[Any], Any], verdict: str, kind: str
) -> None:
    claim = shipped("naganuma2023-ii")
    judged = judge_claim(claim, returns(shape))
    assert judged.verdict == verdict
    (reason,) = judged.reasons
    assert reason.endswith(f"2 {kind}")


def test_too_few_runs_leave_a_claim_about_returns_undecided() -> None:
    judged = judge_claim(shipped("naganuma2023-ii"), returns(lambda x: x, runs=3))
    assert judged.verdict == "undecided"
    assert any("naganuma2023.yaml" in text for text in judged.missing)


def test_few_trials_decide_nothing() -> None:
    stated = {**STATED, "sweep": "some.yaml", "cost": "96 models"}
    judged = judge_claim(Claim.of(stated), searches(0.05, trials=4))
    assert judged.verdict == "undecided"
    assert "the sweep that would decide it: some.yaml (96 models)" in judged.missing


def test_a_population_chooses_runs_and_says_what_is_missing() -> None:
    table = searches(0.05, ("X", "Y"))
    assert judge_claim(Claim.of(STATED), table).runs == 240
    by_shift = Claim.of({**STATED, "population": {"shift": "diversity"}})
    assert judge_claim(by_shift, table).runs == 120
    named = {"datasets": ["Y", "Z", "W"], "algorithms": ["irm"]}
    judged = judge_claim(Claim.of({**STATED, "population": named}), table)
    assert (judged.runs, judged.verdict) == (0, "undecided")
    assert "no runs of the datasets Y, Z, W" in judged.missing
    assert "no runs of the algorithm irm" in judged.missing
    alone = judge_claim(Claim.of({**STATED, "b": "rmsprop"}), table)
    assert alone.verdict == "undecided"
    assert "no runs of the optimizer rmsprop" in alone.missing


def test_a_badge_is_svg_that_says_the_verdict() -> None:
    judged = judge_claim(Claim.of({**STATED, "claim": "a < b & c"}), searches(0.05))
    root = ElementTree.fromstring(claim_badge(judged, "x-y"))
    assert [text.text for text in root.iter() if text.tag.endswith("text")] == ["x-y", "holds"]
    assert "a < b & c: holds" in "".join(root.itertext())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claim": 3}, "claim needs text"),
        ({"expect": "lower"}, "expect needs names"),
        ({"expect": []}, "and not all"),
        ({"expect": list(EXPECTED)}, "nothing would refute"),
        ({"expect": ["lowest"]}, "lowest"),
        ({"margin": 2}, "between 0 and 1"),
        ({"margin": "1"}, "margin needs a number"),
        ({"a": "sgd"}, "compares two optimizers"),
        ({"a": "adaptive"}, "compares two optimizers"),
        ({"population": {"dataset": ["X"]}}, "datasets"),
        ({"population": []}, "needs keys and values"),
        ({"estimand": {"rule": "best"}}, "best"),
        ({"estimand": {"score": "test"}}, "test"),
        ({"sources": "x"}, "source"),
        ({"estimand": {"score": "returns"}}, "unknown expectation 'lower'.*inverse, linear"),
    ],
)
def test_what_is_wrong_in_a_claim_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Claim.of({**STATED, **changes}, "a.yaml")


def test_keys_that_lack_are_named() -> None:
    with pytest.raises(RequestError, match="add source"):
        Claim.of({"claim": "x"})
    with pytest.raises(RequestError, match="keys and values"):
        Claim.of(None)
    with pytest.raises(UnknownNameError, match="expectation"):
        Claim.of({**STATED, "expect": ["worse"]})


def test_what_conclude_judges_are_claims_that_are_shipped() -> None:
    same, worse = shipped("naganuma2023-i-id"), shipped("naganuma2023-i-ood")
    assert (same.estimand.score, same.expect) == ("id", ("no difference",))
    assert (worse.estimand.score, worse.expect) == ("ood", ("lower",))
    assert same.by_kind
    assert worse.by_kind

"""Conclusions on sweeps that were made so that the right one is known."""

import io
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.compare.by_shift_class import compare_by_class
from analysis.conclusions.claims import ALL, SAME_ID, THESE, WORSE_OOD
from analysis.conclusions.conclude import conclude
from analysis.conclusions.curve_claims import RETURNS, SPECIFIED, WORSE_AT_EQUAL_ID
from analysis.conclusions.formats import conclusions_as
from analysis.conclusions.recommendation import recommend
from analysis.conclusions.text import answer_text, conclusions_text
from oodbench.errors import UnknownNameError

Make = Callable[..., dict]
NOT_COMPARED = "Optimizers are not compared on"
OPTIMIZERS = ("sgd", "momentum", "adam", "rmsprop")


def sweep(
    run: Make,
    loss: float = 0.0,
    *,
    best: str = "",
    dataset: str = "RotatedDigits",
    shift: str = "diversity",
    trials: int = 400,
    lost: int = 0,
    noise: float = 0.005,
    **other: object,
) -> list[dict]:
    """Adaptive optimizers lose ``loss`` of OOD accuracy at every ID accuracy; slope .8, chance .1.

    ``best`` gains .1, and the first ``lost`` trials of each adaptive optimizer diverged.
    """
    rows = []
    for i, optimizer in enumerate(OPTIMIZERS):
        rng = np.random.default_rng([i, len(dataset)])
        adaptive = optimizer in ("adam", "rmsprop")
        for number in range(trials):
            seen = float(rng.uniform(0.5, 0.9))
            shown = 0.8 * seen - 0.05 - loss * adaptive + 0.1 * (optimizer == best)
            score = (seen, float(shown + noise * rng.standard_normal()))
            known = {
                "dataset": dataset,
                "shift": shift,
                "chance": 0.1,
                "seed": number,
                "n_id": None,
            }
            known |= other
            gone = adaptive and number < lost
            rows.append(run(1000 * i + number, optimizer, None if gone else score, **known))
    return rows


def verdicts(pairs: pd.DataFrame, **options: object) -> dict[str, str]:
    claims = conclude(pairs, **options).claims
    claims = claims[claims["about"].isin(["", THESE])]
    return dict(zip(claims["claim"], claims["verdict"], strict=True))


def test_worse_by_construction(run: Make) -> None:
    found = verdicts(pd.DataFrame(sweep(run, loss=0.1)), budget=50)
    assert found == {
        SAME_ID: "holds",
        WORSE_OOD: "holds",
        WORSE_AT_EQUAL_ID: "holds",
        RETURNS: "linear",
        SPECIFIED: "does not hold",  # OOD accuracy rises with ID accuracy
    }


def test_no_different_by_construction(run: Make) -> None:
    found = verdicts(pd.DataFrame(sweep(run)), budget=50)
    assert found[SAME_ID] == "holds"
    assert found[WORSE_OOD] == found[WORSE_AT_EQUAL_ID] == "does not hold"


def test_a_few_trials_decide_nothing(run: Make) -> None:
    found = conclude(pd.DataFrame(sweep(run, trials=20, noise=0.05)))
    of_optimizers = found.claims[found.claims["claim"] != SPECIFIED]
    assert set(of_optimizers["verdict"]) <= {"undecided", "not determined"}
    assert [advice.optimizers for advice in found.recommendations] == [()]
    assert found.recommendations[0].words.startswith("undecided: no optimizer beats another")


@pytest.mark.parametrize("trials", [1, 2, 3])
def test_of_one_to_three_trials_nothing_is_said_but_that_they_are_too_few(
    run: Make, trials: int
) -> None:
    """Not that optimizers do not differ, nor that all are below chance, nor a probability."""
    for chance in (0.1, 0.99):
        found = conclude(pd.DataFrame(sweep(run, loss=0.3, trials=trials)).assign(chance=chance))
        (advice,) = found.recommendations
        assert advice.optimizers == ()
        assert advice.words.startswith("undecided: there are too few trials to test any difference")
        assert "of 1 trial of each:" in advice.words
        claims = found.claims[found.claims["about"].isin(["", THESE])]
        evidence = claims.set_index("claim")["evidence"]
        assert evidence[WORSE_OOD].startswith("not tested: \N{MINUS SIGN}")
        assert "an interval takes 5 draws of each optimizer, and 4 times" in (evidence[WORSE_OOD])
        assert "P(" not in conclusions_text(found)
        assert set(found.claims["verdict"]) == {"undecided", "not determined"}


def test_an_optimizer_of_few_trials_is_not_recommended_for_being_unbeaten(run: Make) -> None:
    rows = sweep(run, loss=0.1, trials=40)
    rows = [r for r in rows if r["optimizer"] != "momentum" or r["seed"] < 3]
    (advice,) = conclude(pd.DataFrame(rows)).recommendations
    assert advice.optimizers == ("sgd",)
    assert "too few trials to test Momentum" in advice.limits


def test_the_better_one_is_recommended(run: Make) -> None:
    (advice,) = conclude(pd.DataFrame(sweep(run, loss=0.05, best="momentum"))).recommendations
    assert advice.optimizers == ("momentum",)
    assert (advice.shift, advice.datasets) == ("diversity", "RotatedDigits")
    assert "Momentum 0.7" in advice.words  # of an ID accuracy near .9: .8 x .9 - .05 + .1
    (two,) = conclude(pd.DataFrame(sweep(run, loss=0.1))).recommendations
    assert set(two.optimizers) == {"sgd", "momentum"}


def test_nothing_is_recommended_below_chance(run: Make) -> None:
    rows = sweep(run, shift="correlation")
    (advice,) = conclude(pd.DataFrame(rows).assign(chance=0.75)).recommendations
    assert advice.optimizers == ()
    assert advice.words.startswith("none is above chance (0.75) out of distribution (OOD")


def test_diverged_runs_are_told_and_cost(run: Make) -> None:
    found = conclude(pd.DataFrame(sweep(run, lost=300)), budget=4)
    row = found.claims[found.claims["claim"] == WORSE_OOD].iloc[0]
    assert "800 adaptive (600 lost, no model in 31.5% of searches) and 800 non" in row["evidence"]
    assert row["verdict"] == "holds"  # with a quarter of four trials left, the best is worse
    assert found.runs == {"completed": 1000, "diverged": 600}


def test_a_class_of_shift_is_judged_as_a_whole_and_apart(run: Make) -> None:
    pairs = pd.DataFrame(
        [
            *sweep(run, loss=0.1, dataset="RotatedDigits"),
            *sweep(run, loss=0.1, dataset="RotatedMNIST"),
            *sweep(run, loss=-0.1, dataset="ColoredMNIST", shift="correlation"),
        ]
    )
    pairs["run"] = [f"{i:016x}" for i in range(len(pairs))]
    found = conclude(pairs)
    worse = found.claims[(found.claims["claim"] == WORSE_OOD) & (found.claims["about"] == THESE)]
    assert dict(zip(worse["dataset"], worse["verdict"], strict=True)) == {
        "RotatedDigits": "holds",
        "RotatedMNIST": "holds",
        "ColoredMNIST": "does not hold",
        ALL: "holds",
    }
    assert list(worse["shift"][worse["dataset"] == ALL]) == ["diversity"]
    best = {advice.shift: set(advice.optimizers) for advice in found.recommendations}
    assert best == {"diversity": {"sgd", "momentum"}, "correlation": {"adam", "rmsprop"}}
    classes = found.classes[found.classes["score"] == "ood"]
    assert set(classes["names"][classes["shift"] == "diversity"]) == {"RotatedDigits, RotatedMNIST"}
    assert set(classes["tasks"][classes["shift"] == "correlation"]) == {1}
    text = conclusions_text(found, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "all of the class (diversity shift)" in text


@pytest.mark.parametrize("shift", ["diversity", "correlation"])
def test_a_dataset_without_the_rules_score_is_left_out_and_told(run: Make, shift: str) -> None:
    """Alone in its class, or beside one that has it: only there, nothing is said that selects."""
    rows = sweep(run, loss=0.1, trials=40)
    rows += [
        {**row, "id_val": np.nan}
        for row in sweep(run, loss=-0.1, dataset="RxRx1", shift=shift, trials=40, lost=5)
    ]
    pairs = pd.DataFrame(rows).assign(run=[f"{i:016x}" for i in range(len(rows))])
    found, alone = conclude(pairs), conclude(pairs[pairs["dataset"] != "RxRx1"])
    on = {dataset: set(rows["claim"]) for dataset, rows in found.claims.groupby("dataset")}
    assert on["RxRx1"] == {WORSE_AT_EQUAL_ID, RETURNS, SPECIFIED}
    assert on.keys() == {"RotatedDigits", "RxRx1"}
    assert found.recommendations == alone.recommendations
    pd.testing.assert_frame_equal(found.classes, alone.classes)
    pd.testing.assert_frame_equal(found.kinds, alone.kinds)
    (told,) = found.left_out
    assert told.startswith(f"{NOT_COMPARED} RxRx1, tested on environment 2 (ERM): The rule id_val ")
    assert "compared on RxRx1" in " ".join(conclusions_text(found).split())
    assert alone.left_out == ()


def test_other_reasons_for_leaving_a_dataset_out(run: Make) -> None:
    rows = sweep(run, trials=8)
    rows += sweep(run, trials=8, dataset="Searched", sampler="tpe")
    rows += [{**row, "ood": np.nan} for row in sweep(run, trials=8, dataset="Unscored")]
    rows += [{**r, "algorithm": "irm", "id_val": np.nan} for r in sweep(run, trials=8)]
    pairs = pd.DataFrame(rows).assign(run=[f"{i:016x}" for i in range(len(rows))])
    found = conclude(pairs)
    assert set(found.optimizers["dataset"]) == {"RotatedDigits"}
    told = dict(reason.removeprefix(NOT_COMPARED + " ").split(": ", 1) for reason in found.left_out)
    assert told["Searched, tested on environment 2 (ERM)"] == (
        "An adaptive search found all of its 32 runs."
    )
    assert told["Unscored, tested on environment 2 (ERM)"] == (
        "Of 32 completed runs none has both an ID and an OOD score."
    )
    assert told["RotatedDigits, tested on environment 2 (IRM)"].startswith("The rule id_val cannot")
    assert len(told) == 3


def test_published_splits_are_called_so(run: Make) -> None:
    text = conclusions_text(conclude(pd.DataFrame(sweep(run, trials=40, test_environments=""))))
    assert "shift), tested on its published splits\n" in text


def test_the_oracle_says_so(run: Make) -> None:
    pairs = pd.DataFrame(sweep(run, trials=40))
    pairs["oracle_val"] = pairs["ood"]
    for rule in ("oracle", "id_val"):
        text = " ".join(conclusions_text(conclude(pairs, rule)).split())
        assert ("looks at the test environments" in text) == (rule == "oracle")


def test_one_kind_alone_has_no_statement_about_kinds(run: Make) -> None:
    pairs = pd.DataFrame(sweep(run))
    found = conclude(pairs[pairs["optimizer"].isin(["sgd", "momentum"])])
    assert set(found.claims["claim"]) == {RETURNS, SPECIFIED}
    assert found.kinds.empty


def test_one_optimizer_or_none_named_is_no_error(run: Make) -> None:
    pairs = pd.DataFrame(sweep(run, trials=40))
    for alone in (pairs[pairs["optimizer"] == "sgd"], pairs.assign(optimizer="unknown")):
        found = conclude(alone)
        assert set(found.claims["claim"]) == {RETURNS, SPECIFIED}
        assert found.recommendations == ()
        assert "optimizer would allow comparisons" in conclusions_text(found)


def test_models_that_no_rule_can_choose_among_are_told_what_needs_none(run: Make) -> None:
    """A table of models with one ID and one OOD accuracy each: no validation scores, no kinds."""
    known = ["run", "dataset", "test_environments", "algorithm", "optimizer", "status", "id", "ood"]
    pairs = pd.DataFrame(sweep(run, loss=0.1, trials=60))[known]
    found = conclude(pairs, baseline="sgd")
    returns = found.claims.set_index("claim").loc[RETURNS]
    assert returns["verdict"] == "linear"  # by construction, of slope .8
    robust = found.robustness.set_index("optimizer")["difference"]
    assert np.allclose(robust[["momentum", "adam"]], [0, -0.1], atol=0.01)
    assert len(found.equal_id) == 6
    assert found.optimizers.empty
    assert found.kinds.empty
    assert found.recommendations == ()
    (told,) = found.left_out
    assert told.startswith("Optimizers are not compared: The rule id_val cannot choose")
    text = " ".join(repr(found).split())
    for column in ("id_val", "optimizer_kind", "shift", "chance", "n_id and n_ood"):
        assert f" {column} " in text[text.index("Further columns") :]


def test_findings_speak_of_their_subject(run: Make) -> None:
    found = conclude(pd.DataFrame(sweep(run, loss=0.1)), budget=50)
    (kinds,) = found.kinds[found.kinds["score"] == "ood"].to_dict("records")
    minus = "\N{MINUS SIGN}"
    low, high = (f"{minus}{-100 * kinds[end]:.1f}" for end in ("low", "high"))
    assert kinds["difference"] == pytest.approx(-0.1, abs=0.005)
    amount = f"{-100 * kinds['difference']:.1f}"
    sentence = (
        f"adaptive optimizers: {amount} points lower OOD accuracy than the others ({low} to {high})"
    )
    claims = found.claims[found.claims["about"] == THESE].set_index("claim")
    assert claims.loc[WORSE_OOD, "sentence"] == sentence
    assert "adaptive optimizers: no different from the others in ID accuracy (" in repr(found)
    assert "HOLD" not in repr(found)


def test_the_advice_stands_first_and_lines_fit(run: Make) -> None:
    rows = sweep(run, loss=0.1, trials=40)
    rows += sweep(run, dataset="Colored" * 8, shift="correlation", trials=40)
    found = conclude(pd.DataFrame(rows).assign(run=[f"{i:016x}" for i in range(len(rows))]))
    text = repr(found)
    order = [text.index(part) for part in ("Recommendation", "RotatedDigits (div", "\nRuns\n")]
    assert order == sorted(order)
    assert max(map(len, text.splitlines())) <= 80
    answer = answer_text(found).splitlines()
    assert len(answer) <= 8
    assert answer[0].startswith("ERM on RotatedDigits: Momentum or SGD; Momentum ")
    beaten = found.recommendations[0]
    assert " points above " in beaten.margin
    assert beaten.margin.split()[0] in ("SGD", "Momentum")


def test_many_answers_end_with_where_the_others_are(run: Make) -> None:
    rows = [r for i in range(9) for r in sweep(run, dataset=f"D{i}", shift="", trials=16)]
    found = conclude(pd.DataFrame(rows).assign(run=[f"{i:016x}" for i in range(len(rows))]))
    lines = answer_text(found).splitlines()
    assert len(lines) <= 8
    assert "and more: oodbench conclude" in lines


def test_other_formats_say_the_same_and_hide_nothing(run: Make) -> None:
    rows = sweep(run, loss=0.1, trials=40, dataset="<b>a_b & 50%|</b>")
    found = conclude(pd.DataFrame(rows))
    (advice,) = found.recommendations
    table = pd.read_csv(io.StringIO(conclusions_as(found, "csv")), keep_default_na=False)
    read = json.loads(conclusions_as(found, "json"))
    assert next(iter(table["claim"])) == read["statements"][0]["claim"] == "Recommendation"
    assert table.to_dict("records") == read["statements"]
    assert len(table) == len(found.claims) + 1
    assert set(read["notes"]) == set(found.notes)
    markdown = conclusions_as(found, "markdown")
    assert r"\<b\>a\_b \& 50%\|\</b\>" in markdown
    assert len([line for line in markdown.splitlines() if line.startswith("| ERM")]) == len(
        found.claims
    )
    tex = conclusions_as(found, "latex")
    assert r"a\_b \& 50\%|" in tex
    assert advice.answer in tex
    page = found._repr_html_()
    assert "<b>a_b" not in page
    assert "&lt;b&gt;a_b &amp; 50%|" in page
    with pytest.raises(UnknownNameError, match="unknown format 'yaml'"):
        conclusions_as(found, "yaml")


def test_an_optimizer_that_did_not_run_on_all_of_a_class_is_left_out_there(run: Make) -> None:
    rows = sweep(run, loss=0.1, trials=40)
    rows += [
        row
        for row in sweep(run, loss=0.1, dataset="RotatedMNIST", trials=40)
        if row["optimizer"] != "rmsprop"
    ]
    pairs = pd.DataFrame(rows).assign(run=[f"{i:016x}" for i in range(len(rows))])
    table = compare_by_class(pairs)
    assert {*table["a"], *table["b"]} == {"sgd", "momentum", "adam"}
    # Each optimizer on a dataset of its own: nothing to compare, and a table that says so.
    apart = (pairs["optimizer"] == "sgd") == (pairs["dataset"] == "RotatedDigits")
    none = compare_by_class(pairs[apart & pairs["optimizer"].isin(["sgd", "momentum"])])
    assert none.empty
    assert recommend(none) == ()


def test_conclusions_without_a_class_in_common_still_have_their_statements(run: Make) -> None:
    """One kind on each dataset: the datasets are judged apart and nothing is recommended."""
    nobody = {"RotatedDigits": ("adam", "rmsprop"), "RotatedMNIST": ("sgd", "momentum")}
    rows = [
        row
        for dataset, gone in nobody.items()
        for row in sweep(run, dataset=dataset, trials=40)
        if row["optimizer"] not in gone
    ]
    found = conclude(pd.DataFrame(rows).assign(run=[f"{i:016x}" for i in range(len(rows))]))
    assert set(found.claims["claim"]) == {RETURNS, SPECIFIED}
    assert found.recommendations == ()
    assert "None: no two optimizers can be compared by selected runs" in conclusions_text(found)


def test_a_cycle_of_losses_recommends_nobody() -> None:
    """Holm's verdicts need not be transitive: a over b, b over c, c over a leaves nobody."""
    one = {"shift": "diversity", "names": "D", "datasets": 1, "chance": 0.1, "algorithm": "erm"}
    one |= {"splits": 1, "examples": False, "not_under": "", "at_budgets": (), "under_cuts": ()}
    one |= {
        "score": "ood",
        "rule": "id_val",
        "budget": 8,
        "unit": "trials",
        "verdict": "higher",
        "p": 0.001,
        "p_holm": 0.003,
        "difference": 0.1,
        "low": 0.05,
        "high": 0.15,
    }
    cycle = [("a", "b", 0.5, 0.4), ("b", "c", 0.4, 0.3), ("c", "a", 0.3, 0.5)]
    rows = [{**one, "a": a, "b": b, "value_a": x, "value_b": y} for a, b, x, y in cycle]
    (advice,) = recommend(pd.DataFrame(rows))
    assert advice.optimizers == ()
    assert advice.words.startswith("undecided: every optimizer is beaten by another")


def test_evidence_says_what_other_axes_say_and_how_likely_an_improvement_is(run: Make) -> None:
    """A line through the logits is no line through accuracies: told for each optimizer."""
    rows = sweep(run, loss=0.1)
    for row in rows:
        z = np.log(row["id"] / (1 - row["id"])) * 1.6 - 3
        noise = 0.004 * np.random.default_rng(row["seed"]).standard_normal()
        row["ood"] = float(1 / (1 + np.exp(-z)) + noise)
    claims = conclude(pd.DataFrame(rows)).claims
    claims = claims[claims["about"].isin(["", THESE])].set_index("claim")
    assert "P(improvement) 0." in claims.loc[SAME_ID, "evidence"]
    told = claims.loc[RETURNS, "evidence"]
    assert "SGD linear on the logit axis" in told

"""Audits of simulated models, whose truth is known."""

import json
from itertools import combinations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binom
from simulated_models import Simulation

from analysis import audit, audit_figure, audit_html, audit_text
from analysis.audits.agreement import _solved
from analysis.audits.line import line_of
from analysis.audits.scored import scored
from analysis.audits.selection import lowest_correlation, select_inverted
from oodbench.errors import RequestError, UnknownNameError


def test_a_line_is_found_with_its_slope() -> None:
    found = audit(*Simulation(slope=0.8).draw(0))
    assert (found.models, found.learned) == (50, 50)
    assert found.line.slope.low < 0.8 < found.line.slope.high
    assert found.line.slope.high - found.line.slope.low < 0.1
    assert found.line.correlation.low > 0.98
    assert found.line_learned.well_specified == "no"
    assert found.selection.inverted == 0


def test_intervals_of_the_slope_cover_it() -> None:
    """95% of them; with 40 simulations fewer than 34 would be one case in a thousand."""
    covered = 0
    for seed in range(40):
        line = line_of(scored(*Simulation(models=30, n=500).draw(seed)))
        covered += line.slope.low < 0.8 < line.slope.high
    assert covered >= binom.ppf(0.001, 40, 0.95)


def test_models_at_chance_are_told_from_those_above() -> None:
    predicted, labels = Simulation().draw(1)
    rng = np.random.default_rng(0)
    for name in predicted:
        predicted[name][:20] = rng.integers(10, size=predicted[name][:20].shape)
    found = audit(predicted, labels)
    assert (found.models, found.learned) == (50, 30)
    assert found.line_learned.n == 30
    assert found.chance == pytest.approx(np.bincount(labels["id"]).max() / 2000)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_an_inverted_part_of_known_share_is_found(share: float) -> None:
    found = audit(*Simulation(inverted=share).draw(2)).selection
    assert found.models == (25, 25)
    assert found.inverted >= share  # what is inverted as a whole may hold some others
    at = next(one for one in found.shares if one.share == share)
    assert at.held_out.high < -0.9
    first = 2 * 2000  # ood follows id and id_val
    chosen = np.array(found.examples) - first
    assert (chosen < share * 2000).sum() > 0.97 * share * 2000


def test_all_of_the_examples_may_be_inverted() -> None:
    found = audit(*Simulation(slope=-0.8, bias=0.5).draw(0))
    assert found.selection.inverted == 1
    assert len(found.selection.examples) == 2000
    assert found.line_learned.well_specified == "yes"
    assert "All of the OOD examples" in audit_text([found])


@pytest.mark.slow
def test_no_part_is_found_where_none_is_inverted() -> None:
    """At most 5% of the time by design: 2.5% for all of the examples, and for the first share."""
    false = sum(
        select_inverted(scored(*Simulation(models=40, n=200, slope=0.05).draw(seed))).inverted > 0
        for seed in range(30)
    )
    assert false <= binom.ppf(0.999, 30, 0.05)


def test_the_choice_is_among_the_best_of_all_choices() -> None:
    """Of pure noise, where no choice stands out, it is among the lowest 2% of all 495."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        right, place = rng.integers(2, size=(20, 12)).astype(float), rng.normal(size=20)
        every = [list(rows) for rows in combinations(range(12), 4)]
        means = np.array([right[:, rows].mean(axis=1) for rows in every])
        all_of_them = np.array([np.corrcoef(mean, place)[0, 1] for mean in means])
        chosen = right[:, lowest_correlation(right, place, 4)].mean(axis=1)
        assert np.mean(all_of_them < np.corrcoef(chosen, place)[0, 1] - 1e-9) <= 0.02


def test_the_equations_of_agreement_are_solved() -> None:
    """Where a pair's agreement is what they say of known accuracies, these come out."""
    rng = np.random.default_rng(0)
    truth, a, slope = rng.normal(size=12), rng.normal(size=12), 0.7
    pairs = np.triu_indices(12, 1)
    first, second = pairs
    x = rng.normal(size=len(first))
    y = (truth[first] + truth[second]) / 2 - slope * ((a[first] + a[second]) / 2 - x)
    assert _solved(x, y, a, slope, np.ones(12), pairs) == pytest.approx(truth)


def test_agreement_is_right_where_nothing_shifts() -> None:
    found = audit(*Simulation(slope=1.0, bias=0.0, n=5000).draw(3)).agreement
    assert found.verdict == "strong, and right here"
    assert found.slope.low < 1 < found.slope.high
    assert found.error.high < 0.02


def test_agreement_lies_where_labels_turn() -> None:
    """Models agree as ever, on labels of which 6 in 10 became the next class."""
    predicted, labels = Simulation(slope=1.0, bias=0.0, n=5000).draw(3)
    accuracy = (predicted["ood"] == labels["ood"]).mean(axis=1)
    turned = np.arange(5000) % 10 < 6
    labels["ood"] = np.where(turned, (labels["ood"] + 1) % 10, labels["ood"])
    found = audit(predicted, labels).agreement
    expected = accuracy - (0.4 * accuracy + 0.6 * (1 - accuracy) / 9)
    assert found.verdict == "strong, and wrong here"
    assert found.bias.value == pytest.approx(expected.mean(), abs=0.02)
    assert found.bias.low < expected.mean() < found.bias.high


def test_the_size_of_a_test_set_is_that_of_two_proportions() -> None:
    """Independent answers: the variance of a difference is p (1 - p) / n of either."""
    rng = np.random.default_rng(0)
    labels = np.zeros(4000, int)
    answers = np.where(rng.random((40, 4000)) < 0.8, 0, 1)
    part = {"id": answers, "ood": answers}
    truth = {"id": np.tile([0, 1], 2000), "ood": labels}
    right = np.where(rng.random((40, 4000)) < 0.8, truth["id"], 1 - truth["id"])
    found = audit({**part, "id": right}, truth, margin=0.02).ood_size
    error = np.sqrt(2 * 0.8 * 0.2 / 4000)
    assert found.error == pytest.approx(error, rel=0.03)
    reach = ndtri(0.975) + ndtri(0.8)
    assert found.smallest == pytest.approx(reach * error, rel=0.03)
    assert found.needed == pytest.approx(2 * 0.16 * (reach / 0.02) ** 2, rel=0.06)
    assert found.enough is (found.needed <= 4000)
    assert found.ties == pytest.approx(0.95, abs=0.2)  # pairs of 20 models, not independent


def test_environments_count_alike_and_copies_once() -> None:
    predicted, labels = Simulation(n=300).draw(0)
    environments = {"id": np.repeat(["a", "b"], [100, 200])}
    found = audit(predicted, labels, environments=environments)
    right = predicted["id"] == labels["id"]
    expected = (right[:, :100].mean(axis=1) + right[:, 100:].mean(axis=1)) / 2
    assert found.points[0] == pytest.approx(expected.tolist())


def test_wrong_labels_of_known_share_are_seen() -> None:
    """Good models are right on nearly all; the 6% whose label was changed are contradicted."""
    found = audit(*Simulation(n=1000, slope=1.0, bias=1.5, wrong=0.06).draw(0))
    assert found.ood_noise.share.value == pytest.approx(0.06, abs=0.005)
    assert found.ood_noise.share.low < 0.06 < found.ood_noise.share.high
    changed = set(range(2000 + 940, 3000))
    assert set(found.ood_noise.examples) <= changed


def test_the_best_linear_model_is_shown_beside_the_others() -> None:
    predicted, labels = Simulation().draw(0)
    linear = [number < 10 for number in range(50)]
    found = audit(predicted, labels, linear=linear)
    accuracy = {name: (predicted[name] == labels[name]).mean(axis=1) for name in predicted}
    best = int(np.argmax(accuracy["id_val"][:10]))
    other = 10 + int(np.argmax(accuracy["id_val"][10:]))
    assert found.hardness is not None
    assert found.hardness.linear_ood.value == pytest.approx(accuracy["ood"][best])
    assert found.hardness.other_id.value == pytest.approx(accuracy["id"][other])
    assert found.hardness.linear_ood.low < found.hardness.linear_ood.value


def test_audits_are_shown_as_text_page_figure_and_json() -> None:
    audits = [audit(*Simulation(n=500, inverted=share).draw(0)) for share in (0.0, 0.4)]
    text = audit_text(audits, width=72)
    assert max(map(len, text.splitlines())) <= 72
    assert "hides" in text
    page = audit_html(audits, "A <title>")
    assert "A &lt;title&gt;" in page
    assert page.count("<h2>Predictions") == 2
    assert "hides" in page
    assert len(audit_figure(audits).axes) == 6
    plain = json.loads(json.dumps(audits[1].to_json(), allow_nan=False))
    assert plain["line"]["slope"]["value"] == audits[1].line.slope.value
    assert len(plain["selection"]["examples"]) == round(500 * plain["selection"]["inverted"])


def test_few_or_hopeless_models_have_no_verdicts() -> None:
    found = audit(*Simulation(models=3, n=100).draw(0))
    assert np.isnan(found.line.slope.low)
    assert found.selection.shares == ()
    assert "fewer than 10" in found.agreement.verdict
    rng = np.random.default_rng(0)
    guesses = {name: rng.integers(10, size=(5, 50)) for name in ("id", "ood")}
    truth = {name: rng.integers(10, size=50) for name in guesses}
    hopeless = audit(guesses, truth)
    assert hopeless.learned == 0
    assert "no model above chance" in audit_text([hopeless])
    assert len(audit_figure([hopeless]).axes) == 3


def test_what_is_wrong_with_arrays_is_named() -> None:
    predicted, labels = Simulation(models=5, n=50).draw(0)
    with pytest.raises(RequestError, match="ood has none"):
        audit({"id": predicted["id"]}, labels)
    with pytest.raises(RequestError, match="a label for each example"):
        audit(predicted, {**labels, "ood": labels["ood"][1:]})
    with pytest.raises(RequestError, match="not its probability"):
        audit({**predicted, "ood": predicted["ood"] / 10}, labels)
    with pytest.raises(RequestError, match="margin"):
        audit(predicted, labels, margin=1.5)
    with pytest.raises(RequestError, match="linear"):
        audit(predicted, labels, linear=[True])
    with pytest.raises(RequestError, match="no arrays"):
        audit({}, {})
    with pytest.raises(UnknownNameError, match="test"):
        audit({"test": predicted["id"]}, labels)
    with pytest.raises(RequestError, match="no audit"):
        audit_figure([])


def test_the_probit_line_is_the_simulations() -> None:
    """The helper itself: OOD accuracy is the normal distribution of slope times place plus bias."""
    predicted, labels = Simulation(models=2, n=200_000).draw(5)
    ids, oods = ((predicted[name] == labels[name]).mean(axis=1) for name in ("id", "ood"))
    assert ndtr(0.8 * ndtri(ids) - 0.5) == pytest.approx(oods, abs=0.01)

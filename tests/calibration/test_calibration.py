"""The simulators have the truths that they claim; a few of the rates of ``make calibrate``."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from tests.calibration import curves, panels, scored, tasks, truths
from tests.calibration.rates import COVERAGE, FALSE, Rate, Scenario, measure
from tests.calibration.scored import correct_of, hardness_of, score
from tests.calibration.studies import (
    CEILING,
    CHANCE,
    GAP,
    KINDS,
    NOISE_ID,
    NOISE_OOD,
    SLOPE,
    Design,
    Optimizer,
    optimizers,
    simulate_runs,
)

TUNED = Optimizer("tuned", KINDS[0], space=(-0.1, 0.1))
"""Every learning rate is as good as the best: skills are normal."""


def best_of(n: int) -> float:
    """Expected OOD accuracy of the run of the highest ID skill of n, by integration."""
    spread = np.sqrt(1 + NOISE_OOD**2)

    def integrand(z):
        ood = ndtr((GAP + SLOPE * (CEILING + NOISE_ID * z)) / spread)
        return ood * n * norm.pdf(z) * norm.cdf(z) ** (n - 1)

    return quad(integrand, -8, 8)[0]


@pytest.mark.parametrize("n", [1, 8])
def test_the_truth_of_a_search_is_that_of_an_integral(n, monkeypatch):
    monkeypatch.setattr(scored, "HARDNESS", 1 - 1e-9)  # runs are then ranked by their skill
    skills = truths.selected_ood.__wrapped__(TUNED, Design((), 0, examples=500), n)
    assert ndtr(skills).mean() == pytest.approx(best_of(n), abs=0.0015)
    assert best_of(8) - best_of(1) > 0.03


def test_noisy_validation_takes_from_what_a_search_finds():
    exact, few = best_of(8), Design((), 0, examples=150)
    assert best_of(1) < ndtr(truths.selected_ood(TUNED, few, 8)).mean() < exact - 0.005


def test_lost_searches_have_no_model_as_often_as_all_draws_are_lost():
    skills = truths.selected_ood(TUNED, Design((), 0, lost=0.4), 4)
    assert np.isnan(skills).mean() == pytest.approx(0.4**4, abs=0.006)


def test_effects_move_the_truth_of_the_study_that_has_them():
    design = Design((TUNED, replace(TUNED, name="other", kind=KINDS[1])), datasets=3)
    plain = simulate_runs(design, np.random.default_rng(0))
    assert truths.expected_ood(plain, 4) == pytest.approx(truths.population_ood(design, 4)[0])
    varied = replace(design, dataset_effect=4.0)
    runs = [simulate_runs(varied, np.random.default_rng(i)) for i in range(300)]
    found = np.stack([truths.expected_ood(one, 4) for one in runs])
    differences = found[..., 0] - found[..., 1]
    assert differences.std() == pytest.approx(0.04, rel=0.15)
    assert found.mean() == pytest.approx(truths.population_ood(varied, 4).mean(), abs=0.001)


def test_a_run_is_right_as_often_as_its_skill_says():
    design, rng = Design(optimizers(2), 1), np.random.default_rng(0)
    skill = np.array([[0.4], [-0.9]])
    found = correct_of(skill, hardness_of(design, 200_000, rng), design, rng).mean(axis=1)
    assert found == pytest.approx(ndtr(skill[:, 0]), abs=0.004)


def test_optimizers_of_a_kind_share_more_of_what_makes_examples_hard():
    design, rng = Design(optimizers(4), 1, kind_hardness=0.3), np.random.default_rng(0)
    right = correct_of(np.full((4, 1), 0.5), hardness_of(design, 20_000, rng), design, rng)
    r = np.corrcoef(right)
    same, other = r[0, 2], r[0, 1]  # kinds alternate
    assert same > other + 0.1


def test_the_table_and_the_predictions_agree_as_in_a_database():
    design = Design(optimizers(4), 24, datasets=2, environments=2, splits=2, lost=0.2)
    study = score(simulate_runs(design, np.random.default_rng(0)), np.random.default_rng(1))
    assert len(study.predictions) == 8
    table = study.pairs.set_index("run")
    lost = table["status"] == "diverged"
    assert 0.1 < lost.mean() < 0.3
    for one in study.predictions:
        right = one.predicted == one.examples["label"].to_numpy()
        for role in ("id_val", "id_test", "ood_test"):
            mine = (one.examples["role"] == role).to_numpy()
            assert right[:, mine].mean(axis=1) == pytest.approx(table.loc[[*one.runs], role])
    kept = {run for one in study.predictions for run in one.runs}
    assert kept == set(table.index[~lost])
    # Draw i has one seed everywhere; environments of a dataset show the same examples.
    assert study.pairs.groupby("seed").size().unique() == [4 * 2 * 2 * 2]
    first, second = study.predictions[:2]
    assert first.examples["example"].tolist() == second.examples["example"].tolist()
    assert CHANCE < table["ood"].mean() < table["id"].mean()


def test_a_rate_is_missed_only_by_more_than_chance():
    assert Rate(0.10, 0.01, (0.0, 0.06)).missed
    assert not Rate(0.07, 0.01, (0.0, 0.06)).missed
    assert Rate(0.90, 0.01, (0.93, 0.98)).missed
    assert not Rate(0.5, 0.01).missed


def test_rates_are_means_over_studies_with_their_errors():
    def coin(rng, seed):
        return {FALSE: float(seed % 4 == 0), COVERAGE: np.nan if seed else 1.0}

    found = measure(Scenario("a coin", coin), studies=100)
    assert found[FALSE].value == 0.25
    assert found[FALSE].error == pytest.approx(np.sqrt(0.25 * 0.75 / 100))
    assert (found[COVERAGE].value, found[COVERAGE].error) == (1.0, 1.0)


FAST = {
    "2 equal optimizers, 24 draws": panels,
    "2 equal kinds of 3 optimizers, 100 draws": panels,
    "2 equal optimizers, 4 datasets, the same draws": tasks,
    "equal ID: 2 optimizers on a line, one crowded at the top, 100 draws": curves,
    "effective robustness: 2 optimizers on a hinge, spread alike, 100 draws": curves,
    "return type: a line, half crowded at .90, 100 draws": curves,
}


@pytest.mark.parametrize("name", FAST)
def test_rules_are_wrong_no_more_often_than_they_say(name):
    scenario = next(one for one in FAST[name].scenarios() if one.name == name)
    found = measure(scenario, studies=20)
    missed = {quantity: rate for quantity, rate in found.items() if rate.missed}
    assert not missed

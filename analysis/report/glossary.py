"""The report's methods and the definitions of its terms."""

from ..conclusions.summary import SELECTION
from ..curves.verdicts import SMALLEST_CHANGE, SMALLEST_SLOPE
from ..stats.testing import MARGIN

READS = {rule: " ".join(words.replace("*", "").split()) for rule, words in SELECTION.items()}
"""Selection rule -> what it reads, in a sentence."""

ORACLE = (
    "The rule oracle looks at the test environments. What it selects is no estimate of what one "
    "would get, and nothing here recommends an optimizer for environments that one has not seen."
)

METHODS = (
    (
        "Runs and searches",
        "Each run is one training of one model with one draw of hyperparameters. A study is all "
        "runs of one dataset, choice of test environments, algorithm and optimizer; they are never "
        "pooled with those of another dataset, test environment or algorithm.",
    ),
    (
        "Selection",
        "Of each optimizer's runs the rule named in every table selects one; its ID and OOD "
        "accuracy are then read on other examples. Runs that diverged or failed are spent: never "
        "selected, always counted.",
    ),
    (
        "Comparisons",
        "Optimizers are compared at an equal tuning budget, in the expected accuracy of the run "
        "that the rule selects of n trials. Intervals (95%) and p-values are Student's t, from a "
        "bootstrap over configurations in which the trials of one index are drawn together for "
        "all optimizers; p-values are corrected by Holm's method over the pairs of one dataset, "
        "algorithm and score. They are over searches: other hyperparameters and training seeds. "
        "They do not cover other datasets.",
    ),
    (
        "No difference",
        f"is only said where two one-sided tests at 5% place the difference within "
        f"{100 * MARGIN:g} point of accuracy. A test that finds nothing is undecided.",
    ),
    (
        "Return curves",
        "OOD accuracy as a smooth function of ID accuracy over an optimizer's completed runs that "
        "are above chance (a quadratic spline with one knot). The change of its slope is from the "
        "17th to the 83rd percentile of ID accuracy. Increasing and diminishing: the change is "
        f"beyond {SMALLEST_CHANGE:g}; linear: within it, and the overall slope above "
        f"{SMALLEST_SLOPE:g}; flat: the slope within {SMALLEST_SLOPE:g}; inverse: the slope below "
        f"\N{MINUS SIGN}{SMALLEST_SLOPE:g}; each with 95% confidence, else not determined. The "
        "rule is this package's, not the study's that it descends from.",
    ),
    (
        "Budget curves",
        "The expected accuracy of the run that the rule selects of n trials, over all searches of "
        "n that could be made of the trials (Dodge et al. 2019). Dashed: the trials hold fewer "
        "than four independent searches of n, and there is no interval.",
    ),
    (
        "Lines in the explorer",
        "Ordinary least squares of OOD on ID accuracy, both on the axis that is shown, through the "
        "points that are shown. They describe these points; the verdicts are those of the return "
        "curves. On logit and probit axes an accuracy of 0 or 1 stands at (k + 1/2) / (n + 1), "
        "where the number n of examples is known, and is left out and counted elsewhere.",
    ),
)

TERMS = (
    (
        "ID accuracy",
        "In distribution: on test examples of the training environments, or on validation "
        "examples where a dataset has no others. The unweighted mean over environments.",
    ),
    (
        "OOD accuracy",
        "Out of distribution: on examples of the test environments, which no training step saw.",
    ),
    (
        "Environment",
        "A part of a dataset with its own distribution (a domain), such as one angle of rotation.",
    ),
    ("Gap", "ID minus OOD accuracy. A model at chance has a small one too."),
    ("Chance", "The accuracy of guessing without looking at the input."),
    ("n", "Runs behind a curve, line or table; beside an accuracy, the examples behind it."),
    (
        "Correlation shift, diversity shift",
        "Features that go with other labels in the test environments; features that only one side "
        "has (Ye et al. 2022).",
    ),
    (
        "Adaptive optimizer",
        "One that rescales the gradient by coordinates, layers or matrices, such as Adam; hollow "
        "symbols. The others, such as SGD, have filled ones.",
    ),
    ("ERM", "Empirical risk minimization: the mean loss over the training environments."),
    ("IRM", "Invariant risk minimization (IRMv1, Arjovsky et al. 2019): a penalty on top."),
    ("Diverged", "The loss or a parameter became infinite or undefined."),
    ("Failed", "The run ended in an error."),
    (
        "Checkpoint",
        "Which moment of a run is scored: last, or best_id_val, the one with the highest accuracy "
        "on ID validation examples.",
    ),
    (
        "Interval of a selected run",
        "Wilson's, over the test examples of that one model. It covers neither another training "
        "seed nor another search.",
    ),
    (
        "P(a better)",
        "The probability that a's selected run scores higher than b's; a tie counts half.",
    ),
)

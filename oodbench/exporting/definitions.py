"""What the columns of an export mean, in their order: its schema."""

from oodbench.results.columns import FACTS, MEASURED, RUN, SCORES, named, scored

PROVENANCE = {
    "oodbench": "Version of oodbench that trained it.",
    "torch": "Version of torch that trained it.",
    "device": "What it was trained on.",
    "commit": "Commit of the code, if it was a checkout.",
}
"""Columns that come from a run's provenance as they are."""

ADDED = {
    "fingerprint": "Hash of the dataset's content; empty if not known.",
    "checkpoint": "Rule for the checkpoint that is scored: last, or best_id_val (the first with "
    "the highest id_val).",
    "worst_group_val": "Lowest validation accuracy of a training environment.",
    "leave_one_environment_out": "Mean accuracy of the runs that leave one more environment out.",
    **PROVENANCE,
}
"""Columns that the views do not have."""

ORDER = (
    *("run", "config_id", "protocol", "dataset", "fingerprint", "test_environments", "algorithm"),
    *("optimizer", "optimizer_kind", "model", "seed", "data_seed", "steps", "batch"),
    *("model_options", "algorithm_options", "dataset_options", "precision", "status", "reason"),
    *("sampler", "checkpoint", "step", "id", "n_id", "ood", "n_ood", *SCORES),
    *(f"n_{role}" for role in SCORES),
    *("worst_group_val", "leave_one_environment_out", "chance", "num_classes", "metric", "shift"),
    *named(MEASURED),
    *PROVENANCE,
)

_MEANINGS = {c.name: c.meaning for c in (*RUN, *MEASURED, *scored(), *FACTS)} | ADDED
DEFINITIONS = {name: _MEANINGS[name] for name in ORDER}
"""Column -> meaning. Hyperparameters follow as ``hparams.NAME``."""

OF_TARGET = ("OOD accuracy on the target in brackets.", "Examples behind it.")
"""Meaning of ``ood[NAME]`` and of ``n_ood[NAME]``, which come before the hyperparameters."""

HPARAMS = "hparams."

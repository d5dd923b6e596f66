"""What the columns of an export mean: its schema."""

DEFINITIONS = {
    "run": "Id of the run: a hash of all that decides it; of an imported run, of what is known.",
    "config_id": "Id without the seed: shared by repeats of one configuration.",
    "protocol": "Version of what a trial means; runs of different protocols are not comparable. "
    "imported:SOURCE for runs trained elsewhere.",
    "dataset": "Name of the dataset.",
    "fingerprint": "Hash of the dataset's content; empty if not known.",
    "test_environments": "Indices of the environments kept out of training.",
    "algorithm": "Training objective.",
    "optimizer": "Optimizer.",
    "optimizer_kind": "adaptive or non-adaptive.",
    "model": "Backbone.",
    "seed": "Of initialisation and batch order; -1: not known.",
    "data_seed": "Of splits, label noise and colours.",
    "steps": "Optimizer steps asked for; 0: not known.",
    "batch": "Batch composition as JSON.",
    "model_options": "Options that differ from the defaults, as JSON.",
    "algorithm_options": "Likewise.",
    "dataset_options": "Likewise.",
    "precision": "Of the arithmetic: float32, float64, or bf16 (the forward pass in bfloat16, all "
    "else in float32).",
    "status": "completed, diverged (a loss or parameter became non-finite), failed, waiting or "
    "running. Only completed runs have scores.",
    "reason": "Why it diverged or failed.",
    "sampler": "Who drew it: random, qmc, grid, tpe, gp; confirm: repeats a winner; unknown.",
    "checkpoint": "Rule for the checkpoint that is scored: last, or best_id_val (the first with "
    "the highest id_val).",
    "step": "Optimizer steps at that checkpoint.",
    "id": "ID accuracy: id_test, or id_val where the dataset has no ID test examples.",
    "n_id": "Examples behind id; missing: not known.",
    "ood": "OOD accuracy: ood_test.",
    "n_ood": "Examples behind ood.",
    "id_val": "Accuracy on validation examples of the training environments, a fraction, mean over "
    "environments.",
    "id_test": "On test examples of the training environments.",
    "ood_val": "On validation environments apart from training and test.",
    "ood_test": "On test examples of the test environments.",
    "oracle_val": "On validation examples of the test environments: for the rule oracle alone.",
    "n_id_val": "Examples behind id_val.",
    "n_id_test": "Examples behind id_test.",
    "n_ood_val": "Examples behind ood_val.",
    "n_ood_test": "Examples behind ood_test.",
    "n_oracle_val": "Examples behind oracle_val.",
    "worst_group_val": "Lowest validation accuracy of a training environment.",
    "leave_one_environment_out": "Mean accuracy of the runs that leave one more environment out.",
    "chance": "Accuracy of guessing.",
    "num_classes": "Size of the label set.",
    "metric": "Official metric of the dataset.",
    "shift": "Class of shift: correlation, diversity, subpopulation; empty: none, or not measured.",
    "seconds": "The run's share of the time that its stack trained.",
    "gradient_evaluations": "Gradients of a batch that it took; those of all its replicas.",
    "samples": "Examples behind these gradients, repeats counted.",
    "all_reduces": "Vectors that its replicas averaged while training; empty: it has none.",
    "communicated_bytes": "In these vectors: what each replica handed in.",
    "compute_seconds": "Of a replica, on average, in its own steps; empty: it has none, or they "
    "were simulated.",
    "communication_seconds": "Likewise in averaging, once all replicas were there.",
    "waiting_seconds": "Likewise in waiting for the slowest replica before that.",
    "oodbench": "Version of oodbench that trained it.",
    "torch": "Version of torch that trained it.",
    "device": "What it was trained on.",
    "commit": "Commit of the code, if it was a checkout.",
}
"""Column -> meaning. Hyperparameters follow as ``hparams.NAME``."""

PROVENANCE = ("oodbench", "torch", "device", "commit")
"""Columns that come from a run's provenance."""

HPARAMS = "hparams."

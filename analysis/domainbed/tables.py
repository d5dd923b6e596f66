"""The tables that DomainBed's ``collect_results`` prints, from our selection rules."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from oodbench.errors import check_name
from oodbench.results.domainbed_logs import ENVIRONMENTS, environment_names
from oodbench.results.select import RUN_RULES, select

from .candidates import DomainBedSweep, domainbed_candidates

METHODS = {
    "training-domain validation set": ("id_val", "every"),
    "leave-one-domain-out cross-validation": ("leave_one_environment_out", "every"),
    "test-domain validation set (oracle)": ("oracle", "last"),
}
"""DomainBed's method -> our run rule, and which checkpoints of a run it may choose."""

GROUP = ("dataset", "algorithm")
TRIAL = (*GROUP, "trial_seed", "test_environments")
"""One search: DomainBed takes the best of its hyperparameter seeds."""

ALGORITHMS = (
    *("ERM", "ERMPlusPlus", "Fish", "IRM", "GroupDRO", "Mixup", "MLDG", "CORAL", "MMD", "DANN"),
    *("CDANN", "MTL", "SagNet", "ARM", "VREx", "RSC", "SD", "ANDMask", "SANDMask", "IGA"),
    *("SelfReg", "Fishr", "TRM", "IB_ERM", "IB_IRM", "CAD", "CondCAD", "Transfer"),
    *("CausIRL_CORAL", "CausIRL_MMD", "EQRM", "RDM", "ADRMX", "URM"),
)
"""DomainBed's, in its order (facebookresearch/DomainBed at b93c22a)."""

Cells = Mapping[Hashable, tuple[float, float]]
"""Where in a table -> mean and error."""


def domainbed_selection(found: pd.DataFrame, method: str) -> pd.DataFrame:
    """The checkpoint that a method of DomainBed's takes of each search.

    Args:
        found: See ``analysis.domainbed.candidates.domainbed_candidates``.
        method: One of ``METHODS``.

    Returns:
        See ``oodbench.results.select.select``: a row for each search with one test environment of
        which something could be chosen. ``ood`` is what DomainBed reports. Of equal scores the
        largest ``hparams_seed`` goes first, and within a run the earliest step, as there.

    Raises:
        UnknownNameError: If there is no such method.
        QueryError: If nothing at all can be chosen, as by leaving one environment out where no run
            has two test environments.
    """
    check_name("method", method, METHODS)
    rule, which = METHODS[method]
    if which == "last":
        found = found[found["step"] == found.groupby("run")["step"].transform("max")]
    chosen = select(found, rule, by=TRIAL, largest=["hparams_seed"])
    alone = ~chosen["test_environments"].str.contains(",")
    return chosen[alone & chosen["run"].notna()].reset_index(drop=True)


def domainbed_table(found: pd.DataFrame, method: str) -> pd.DataFrame:
    """The accuracy in each test environment: means over trials, with DomainBed's error.

    That error is the standard deviation over trials (``ddof=0``) over the root of their number. A
    trial is a search of its own, with hyperparameters, splits and seeds of its own.

    Args:
        found: See ``analysis.domainbed.candidates.domainbed_candidates``.
        method: One of ``METHODS``.

    Returns:
        A row per dataset, algorithm and ``environment`` (index): ``method``, ``accuracy`` (a
        fraction), ``error`` and ``trials``.

    Raises:
        UnknownNameError, QueryError: See ``domainbed_selection``.
    """
    chosen = domainbed_selection(found, method)
    chosen["environment"] = chosen["test_environments"].astype(int)
    return _over_trials(chosen, [*GROUP, "environment"], method)


def domainbed_averages(found: pd.DataFrame, method: str) -> pd.DataFrame:
    """The table ``domainbed_table`` of each trial's mean over its test environments."""
    chosen = domainbed_selection(found, method)
    trials = chosen.groupby([*GROUP, "trial_seed"])["ood"].mean().reset_index()
    return _over_trials(trials, list(GROUP), method)


def domainbed_text(sweep: DomainBedSweep) -> str:
    """What DomainBed's ``collect_results`` prints for this folder, in DomainBed's order.

    X stands where there is nothing to choose from. Datasets and algorithms that DomainBed does not
    have come last. After the tables a note names the averages over trials that differ in their
    test environments.
    """
    found = domainbed_candidates(sweep.accuracies)
    datasets = _in_order(found["dataset"], [*ENVIRONMENTS])
    algorithms = _in_order(found["algorithm"], ALGORITHMS)
    lines = [f"Total records: {len(found)}"]
    last = sweep.accuracies.groupby("dataset")["environment"].max()
    for method, (rule, _) in METHODS.items():
        known = bool(found[RUN_RULES[rule]].notna().any())
        table = _cells(domainbed_table(found, method), 3) if known else {}
        averages = _cells(domainbed_averages(found, method), 2) if known else {}
        for dataset in datasets:
            names = environment_names(dataset, int(last[dataset]) + 1)
            lines += ["", f"-------- Dataset: {dataset}, model selection method: {method}"]
            lines.append(_line(["Algorithm", *names, "Avg"], 20))
            for algorithm in algorithms:
                where = [(dataset, algorithm, i) for i in range(len(names))]
                lines.append(_line([algorithm, *_texts(table, where)], 20))
        lines += ["", f"-------- Averages, model selection method: {method}"]
        lines.append(_line(["Algorithm", *datasets, "Avg"], 25))
        for algorithm in algorithms:
            everywhere = [(dataset, algorithm) for dataset in datasets]
            lines.append(_line([algorithm, *_texts(averages, everywhere)], 25))
    lines += uneven_averages(found)
    return "\n".join(lines) + "\n"


def uneven_averages(found: pd.DataFrame) -> list[str]:
    """A note for each average over trials of which some lack test environments that others have.

    DomainBed averages each trial over the environments that it has, and then the trials.

    Args:
        found: See ``analysis.domainbed.candidates.domainbed_candidates``.
    """
    alone = found[~found["test_environments"].str.contains(",")]
    notes = []
    for (dataset, algorithm), rows in alone.groupby(list(GROUP)):
        tested = rows.groupby("trial_seed")["test_environments"].agg(lambda of: sorted(set(of)))
        if tested.map(tuple).nunique() > 1:
            each = "; ".join(f"trial {seed}: {', '.join(of)}" for seed, of in tested.items())
            notes.append(
                f"note: the average of {algorithm} on {dataset} is, as DomainBed's, over trials "
                f"with different test environments ({each}), so it is none of the same task."
            )
    return ["", *notes] if notes else []


def _in_order(names: "pd.Series[str]", known: Sequence[str]) -> list[str]:
    """Each name once: the known ones in their order, then the others by the alphabet."""
    there = set(names)
    return [*(name for name in known if name in there), *sorted(there - set(known))]


def _over_trials(chosen: pd.DataFrame, by: list[str], method: str) -> pd.DataFrame:
    scores = chosen.groupby(by)["ood"]
    table = pd.DataFrame({"accuracy": scores.mean(), "trials": scores.size()})
    table.insert(1, "error", scores.std(ddof=0) / np.sqrt(table["trials"]))
    table.insert(0, "method", method)
    return table.reset_index()


def _cells(table: pd.DataFrame, keys: int) -> Cells:
    """The accuracy and error of each cell in percent, by the first ``keys`` columns."""
    where = table[list(table.columns[:keys])].itertuples(index=False, name=None)
    percent = 100 * table[["accuracy", "error"]].to_numpy()
    return dict(zip(where, map(tuple, percent), strict=True))


def _texts(cells: Cells, where: Sequence[Hashable]) -> list[str]:
    """Each cell, and their average."""
    texts = ["{:.1f} +/- {:.1f}".format(*cells[at]) if at in cells else "X" for at in where]
    if "X" in texts:
        return [*texts, "X"]
    return [*texts, f"{sum(cells[at][0] for at in where) / len(where):.1f}"]


def _line(cells: Sequence[str], width: int) -> str:
    """Cells of one width, as DomainBed prints them, its last space included."""
    return "  ".join(cell.ljust(width)[:width] for cell in cells) + " "

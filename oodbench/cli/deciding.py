"""What the command line prints of searches that stop when decided."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from oodbench.sweep import SweepSpec


def show_decisions(table: "pd.DataFrame") -> None:
    """Print how far each statement is from decided; see ``oodbench.decisions``."""
    from oodbench.cli.printing import show_columns, shown_rows
    from oodbench.verbs.decisions import OUTCOMES, described

    if table.empty:
        return
    decided = int(table["outcome"].isin(OUTCOMES).sum())
    print(f"\nStatements about OOD accuracy, {decided} of {len(table)} decided:")
    columns, several = shown_rows(described(table)), table["sweep"].nunique() > 1
    show_columns([column for column in columns if several or column.name != "sweep"])


def tell_looks(spec: "SweepSpec") -> None:
    """Print when a search that stops when decided is looked at, and the models up to there."""
    from oodbench.results.sweeps.stopping import Stopping

    if spec.search.stop is None:
        return
    names = [optimizer.name for optimizer in spec.contestants]
    groups = len(spec.datasets) * len(spec.algorithms)
    stopping = Stopping.of(spec.search.model_dump(), names, groups)
    turns = sum(len(dataset.turns()) for dataset in spec.datasets) * len(spec.algorithms)
    models = turns * len(names) * spec.seeds * spec.data_seeds
    looks = ", ".join(map(str, stopping.looks))
    print(
        f"{spec.name}: stops when {len(stopping.pairs) * groups} statements are decided (each two "
        f"of {', '.join(stopping.among)}; best of {stopping.budget}; margin "
        f"{100 * stopping.margin:g} points). Looks at {looks} draws of each optimizer: "
        f"{models * stopping.looks[0]:,} models at least, {models * stopping.most:,} at most."
    )

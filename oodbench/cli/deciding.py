"""What the command line prints of searches that stop when decided."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from oodbench.sweep import SweepSpec

OUTCOMES = {
    "higher": "holds",
    "lower": "does not hold: lower",
    "no difference": "does not hold: no difference",
}
"""What is decided of a pair -> what that means for the statement that the first is better."""


def show_decisions(table: "pd.DataFrame") -> None:
    """Print how far each statement is from decided; see ``oodbench.decisions``."""
    from oodbench.cli.printing import show

    if table.empty:
        return
    decided = int(table["outcome"].isin(OUTCOMES).sum())
    print(f"\nStatements about OOD accuracy, {decided} of {len(table)} decided:")
    rows = [_cells(row) for row in table.to_dict("records")]
    import pandas as pd

    shown = pd.DataFrame(rows)
    show(shown.drop(columns=["sweep"] if shown["sweep"].nunique() == 1 else []))


def _cells(row: dict[Any, Any]) -> dict[str, object]:
    """One statement as it is printed."""
    points = [100 * row[name] for name in ("difference", "low", "high")]
    seen = f"{points[0]:+.1f} ({points[1]:+.1f} to {points[2]:+.1f})" if row["draws"] else ""
    return {
        "sweep": row["sweep"],
        "dataset": row["dataset"],
        "algorithm": row["algorithm"],
        "statement": f"{row['a']} better than {row['b']}",
        "outcome": OUTCOMES.get(row["outcome"], row["outcome"]),
        "points": seen,
        "draws": row["draws"],
        "expected": _ahead(row),
    }


def _ahead(row: dict[Any, Any]) -> str:
    """When an undecided statement would be decided."""
    if row["outcome"] != "undecided":
        return ""
    if not row["draws"]:
        return f"first look at {row['next']:,}"
    if row["projected"] != row["projected"]:
        return "never, as it stands"
    if row["projected"] > row["most"]:
        return f"at about {row['projected']:,.0f} draws, but most is {row['most']:,}"
    return f"at about {row['projected']:,.0f} draws"


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

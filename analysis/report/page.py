"""The report as one HTML page: everything in it, nothing beside it, no network."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from oodbench.results.predictions import Predictions

from ..compare.comparison import Comparison, Unit
from ..compare.health import edge_notes
from ..conclusions.conclude import Conclusions
from ..conclusions.notes import POWER
from ..conclusions.summary import SELECTION
from ..curves.verdicts import SMALLEST_BEND, SMALLEST_GAIN
from ..plots.answer import answers, caption
from ..plots.style import Palette, looks
from ..plots.texts import covered
from ..runs.columns import require
from ..runs.environments import name_environments
from ..runs.names import pretty
from ..stats.testing import MARGIN
from . import charts, packing, tables
from .assets import LIBRARY, SCRIPTS, STYLES, policy, static, template
from .drawings import answer_drawing, heatmap_drawing
from .sampling import shown_runs
from .statistics import Statistics, compute


@dataclass(frozen=True)
class Source:
    """Where the runs came from, as far as it is known.

    Attributes:
        facts: Name -> text, such as the database and the condition.
        origins: The result of ``oodbench.results.origins``; None where there is no database.
        sweeps: The result of ``oodbench.results.sweep_specs``.
        environments: Dataset -> the names of its environments.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    origins: pd.DataFrame | None = None
    sweeps: Sequence[Mapping[str, Any]] = ()
    environments: Mapping[str, Sequence[str]] = field(default_factory=dict)


def report_html(
    pairs: pd.DataFrame,
    checkpoints: pd.DataFrame | None = None,
    *,
    rule: str = "id_val",
    budget: float | None = None,
    unit: Unit = "trials",
    predictions: Sequence[Predictions] = (),
    seed: int = 0,
    title: str = "Optimizers out of distribution",
    palette: Palette = "default",
    source: Source | None = None,
    probes: pd.DataFrame | None = None,
    environments: pd.DataFrame | None = None,
    on_step: Callable[[str], None] = lambda what: None,
) -> str:
    """What the runs say, as one HTML page that opens from disk, offline.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        checkpoints: The result of ``oodbench.results.query.checkpoints``: the learning curves.
            None: the page has none.
        rule: How each optimizer's run is selected, such as ``id_val``; ``oracle`` says so.
        budget, unit, predictions, seed: See ``analysis.conclude``.
        title: Title of the page.
        palette: Palette of the figures.
        source: Where the runs came from.
        probes: What probes measured (``oodbench.results.probed``), to stand on an axis.
        environments: The accuracy of runs on each environment, for the same axis: ``run``, and a
            column for each name of an environment.
        on_step: Called with what is being done: the statistics of 20,000 runs take half a minute.

    Raises:
        RequestError: No runs, or a column is missing.
        QueryError: No run has the score that the rule reads.
        UnknownNameError: No such rule, unit or palette.
    """
    require(pairs, ("id", "ood"))
    page = template("report.html")
    pairs = pairs.reset_index(drop=True)
    how: dict[str, Any] = {"budget": budget, "unit": unit, "predictions": predictions}
    statistics = compute(pairs, rule, seed=seed, on_step=on_step, **how)
    on_step("writing the page")
    source = source or Source()
    shown = pairs[pairs["run"].isin(shown_runs(pairs, rule))].reset_index(drop=True)
    data = _data(pairs, shown, statistics, palette, source)
    data |= packing.pack(shown, checkpoints, probes, environments)
    statistics = statistics.named(source.environments)
    pairs = name_environments(pairs, source.environments)
    scripts = [static(f"{name}.js") for name in (LIBRARY, *SCRIPTS)]
    return str(
        page.render(
            title=title,
            policy=policy(scripts),
            styles=[*map(static, STYLES), charts.look_colors(data["looks"])],
            scripts=scripts,
            data=packing.script_json(data),
            **_answers(pairs, statistics, palette),
            heatmap=_heatmap(pairs, statistics),
            drawn=shown["run"].nunique(),
            **_texts(pairs, statistics, source),
        )
    )


def _data(
    pairs: pd.DataFrame,
    shown: pd.DataFrame,
    statistics: Statistics,
    palette: Palette,
    source: Source,
) -> dict[str, Any]:
    """What the browser reads, besides the runs."""
    bought = statistics.budget
    return {
        "looks": charts.optimizer_looks(pairs, palette),
        "panels": charts.panel_facts(pairs, source.environments),
        "sides": charts.sides(pairs, source.environments),
        "selected": np.flatnonzero(shown["run"].isin(statistics.selected["run"])).tolist(),
        "returns": charts.curves_of_returns(statistics.curves),
        "budget": [] if isinstance(bought, str) else charts.budget_curves(bought),
        "names": {str(name): pretty(str(name)) for name in pairs["algorithm"].unique()},
        "rule": statistics.rule,
    }


def _answers(pairs: pd.DataFrame, statistics: Statistics, palette: Palette) -> dict[str, Any]:
    """What stands first: the answer for each class of shift and algorithm, or why there is none."""
    levels, found = statistics.levels, statistics.conclusions
    if isinstance(levels, str):
        return {"answers": (), "no_answer": levels, "marks": ""}
    advice = () if isinstance(found, str) else found.recommendations
    shown, styles = list(answers(levels, advice)), looks(pairs, palette)
    drawings = [answer_drawing(one, styles, f"answer{i}") for i, one in enumerate(shown)]
    pictured = list(zip(shown, drawings, strict=True))
    return {"answers": pictured, "no_answer": "", "marks": caption(shown)}


def _heatmap(pairs: pd.DataFrame, statistics: Statistics) -> tuple[str, str] | None:
    against = statistics.against
    if isinstance(against, str):
        return None
    return heatmap_drawing(pairs, against, Comparison(statistics.rule))


def _texts(pairs: pd.DataFrame, statistics: Statistics, source: Source) -> dict[str, Any]:
    """What the template shows besides the data of the browser."""
    bought, once = statistics.budget, pairs.drop_duplicates("run")
    return {
        **_judged(statistics.conclusions),
        "budget_covers": "" if isinstance(bought, str) else covered(bought),
        "no_budget": bought if isinstance(bought, str) else "",
        "budget": () if isinstance(bought, str) else tables.budget_tables(bought),
        "rule": statistics.rule,
        "reads": " ".join(SELECTION.get(statistics.rule, "").replace("*", "").split()),
        "checkpoint": str(pairs["checkpoint"].iloc[0]) if "checkpoint" in pairs else "last",
        "statuses": {str(k): int(v) for k, v in once["status"].value_counts().items()},
        "total": len(once),
        "imported": tables.imported_counts(pairs),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "source": source,
        "specs": [_spec(sweep) for sweep in source.sweeps],
        "origins": None if source.origins is None else tables.origin_table(source.origins),
        "selected": tables.selected_tables(statistics, pairs),
        "headline": tables.headline(statistics),
        "searches": tables.search_tables(statistics),
        "edges": edge_notes(statistics.searches),
        "returns": tables.return_tables(statistics),
        "health": tables.health_tables(pairs),
        "margin": f"{100 * MARGIN:g}",
        "smallest_bend": f"{100 * SMALLEST_BEND:g}",
        "smallest_gain": f"{100 * SMALLEST_GAIN:g}",
    }


def _judged(found: Conclusions | str) -> dict[str, Any]:
    """The statements and comparisons, or why there are none."""
    if isinstance(found, str):
        return {"not_judged": found}
    return {
        "not_judged": "",
        "left_out": (*found.left_out, *found.missing),
        "power": (POWER, *found.power) if found.power else (),
        "verdicts": tables.verdict_tables(found),
        "comparisons": {
            "kinds": tables.kind_tables(found),
            "pairs": tables.pair_tables(found),
            "classes": tables.class_tables(found),
            "equal_id": tables.equal_id_tables(found),
        },
    }


def _spec(sweep: Mapping[str, Any]) -> dict[str, Any]:
    created = datetime.fromtimestamp(sweep["created"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    spec = json.dumps(sweep["spec"], indent=2, ensure_ascii=False)
    return {"name": sweep["name"], "created": created, "runs": sweep["runs"], "spec": spec}

"""A summary of a sweep that a person can read: Markdown."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pandas as pd

from oodbench.results.select import drawn

from ..compare.health import search_health
from ..runs.columns import GROUP, STATUS_COLUMNS, count_statuses, require, rows_of
from ..runs.lost_runs import reasons
from ..runs.names import group_name, pretty
from ..runs.panels import Panel, panels
from .confirmation import confirmation_table
from .markdown import escape, markdown_table
from .optimizer_table import optimizer_table

_READING = """\
- **ID accuracy**: on test examples of the training environments. **OOD accuracy**: on examples of
  the test environments, which no training step saw. Both at the checkpoint `{checkpoint}`, and
  the mean over environments.
- **Gap**: ID accuracy minus OOD accuracy. A small gap alone is no success: a model at chance has
  one too.
- **Selected run**: the completed run that the rule `{rule}` ranks first among all of the
  optimizer's runs here.
  {selection}
- **Interval**: 95% (Wilson), over the n test examples of that one model. The selected run is one
  training seed of one search, so the interval says nothing about how much another training seed
  or another search would change the score.
- **Chance**: the accuracy of guessing, without looking at the input.
- **Diverged**: the loss or a parameter became infinite or undefined. **Failed**: the run ended in
  an error. Neither has scores, so neither is in a figure as a point; both are counted, because an
  optimizer that often diverges costs runs that its best score does not show."""

_HEALTH = """\
What the trials of each search came to, by the score that the rule reads. **Effective**: the number
of trials near the best, of which one that is a point worse weighs 0.37. Where the best scores
**rise towards** an end of a range (here with the most extreme value that was tried), a better value
may lie beyond; of 20 tables one says so by chance."""

SELECTION = {
    "id_val": """\
It reads validation examples of the training environments; where the dataset has ID test
  examples, the scores reported are on those other ones.""",
    "worst_group_val": """\
It reads the lowest accuracy on validation examples of a training environment.""",
    "ood_val": """\
It reads validation environments that are apart from the training and the test ones.""",
    "leave_one_environment_out": """\
It reads the mean, over the training environments, of the accuracy on validation examples of that
  environment of a run that left it out as well.""",
    "oracle": """\
**It reads the test environments**, which nobody has before deployment: these scores are an
  upper reference, not what a user would get.""",
}


def summary_markdown(
    pairs: pd.DataFrame,
    *,
    title: str,
    rule: str = "id_val",
    notes: Sequence[str] = (),
    figures: Sequence[str] = (),
) -> str:
    """What became of the runs and how each optimizer's selected run scored, as Markdown.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; see ``optimizer_table`` for
            the columns needed. ``reason`` and ``chance`` are used where present.
        title: The heading.
        rule: How runs are selected, such as ``id_val``.
        notes: Sentences of Markdown that the reader must see, such as warnings.
        figures: Paths or addresses of figures, relative to where the summary will be.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such rule.
    """
    require(pairs)
    parts = [f"# {escape(title)}", _status_line(pairs)]
    if notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in notes)]
    parts += ["## Results", *_result_sections(pairs, rule)]
    parts += _health_sections(search_health(pairs, rule))
    reasons = _reason_lines(pairs)
    if reasons:
        parts += ["## Why runs diverged or failed", "\n".join(reasons)]
    if figures:
        parts += ["## Figures", *map(_figure_link, figures)]
    selection = SELECTION.get(rule, "")
    checkpoint = pairs["checkpoint"].iloc[0] if "checkpoint" in pairs.columns else "last"
    reading = _READING.format(rule=rule, selection=selection, checkpoint=checkpoint)
    parts += ["## How to read this", reading.replace("\n  \n", "\n")]
    return "\n\n".join(parts) + "\n"


def _status_line(pairs: pd.DataFrame) -> str:
    pairs = pairs.drop_duplicates("run")  # which has a row for each of its targets
    counts = count_statuses(pairs, ("optimizer",)).sum()
    shown = [f"{n:,} {status}" for status, n in counts.items() if n or status != "pending"]
    text = f"{len(pairs):,} runs: {', '.join(shown)}."
    repeats = len(pairs) - len(drawn(pairs))
    if repeats:
        text += f" {repeats:,} of them repeat a winner on fresh seeds: no figure shows them."
    return text + (" This is not the final state." if counts["pending"] else "")


def _result_sections(pairs: pd.DataFrame, rule: str) -> list[str]:
    sections = []
    table = optimizer_table(pairs, rule)
    for panel in panels(pairs):
        rows = rows_of(table, *panel.key)
        chance = [] if panel.chance is None else [f"Chance accuracy: {panel.chance:.3g}"]
        facts = [escape(fact) for fact in (*chance, *panel.remarks)]
        sections += [
            f"### {escape(panel.heading[0])}",
            "; ".join(facts),
            _markdown_table(rows),
            _confirmed(pairs, panel),
        ]
    return [section for section in sections if section]


def _health_sections(health: pd.DataFrame) -> list[str]:
    """What the trials of each search came to, a table a panel; nothing where there are none."""
    sections = ["## Search health", _HEALTH] if len(health) else []
    shares = ["lost", "at_chance", "near_best"]
    heads = ["trials", "lost", "at chance", "within a point of the best", "effective", "ranges"]
    for key, rows in health.groupby(list(GROUP), sort=False):
        cells = [
            [
                *_counted(row, ["trials"]),
                *("?" if pd.isna(row[name]) else f"{row[name]:.0%}" for name in shares),
                *(f"{row['effective']:.1f}", f"{row['ranges']}", escape(row["edges"])),
            ]
            for row in rows.to_dict("records")
        ]
        table = markdown_table(["optimizer", *heads, "best scores rise towards the"], cells)
        sections += [f"### {escape(group_name(*map(str, key)))}", table]
    return sections


def _markdown_table(rows: pd.DataFrame) -> str:
    counted = [name for name in STATUS_COLUMNS if name in rows.columns]
    heads = ["ID accuracy (95%)", "n", "OOD accuracy (95%)", "n", "gap", "selected run"]
    table = []
    for row in rows.to_dict("records"):
        run = "none" if pd.isna(row["run"]) else f"`{row['run']}`"
        gap = "none" if pd.isna(row["gap"]) else f"{row['gap']:+.3f}".replace("-", "\N{MINUS SIGN}")
        scores = (*_scored(row, "id"), *_scored(row, "ood"), gap)
        table.append([*_counted(row, counted), *scores, run])
    return markdown_table(["optimizer", *counted, *heads], table)


def _counted(row: Mapping[Any, Any], counts: Sequence[str]) -> list[str]:
    """The optimizer and numbers of its runs."""
    return [escape(pretty(str(row["optimizer"]))), *(f"{row[name]:,}" for name in counts)]


def _confirmed(pairs: pd.DataFrame, panel: Panel) -> str:
    """The winners that were trained again, if any were."""
    if not {"sampler", "config_id"} <= set(pairs.columns):
        return ""
    table = confirmation_table(pairs)
    rows = rows_of(table, *panel.key)
    if rows.empty:
        return ""
    heads = ["optimizer", *STATUS_COLUMNS[:3], "ID accuracy", "OOD accuracy", "configuration"]
    cells = []
    for row in rows.to_dict("records"):
        scores = [_interval(row, score) for score in ("id", "ood")]
        cells.append([*_counted(row, STATUS_COLUMNS[:3]), *scores, f"`{row['config_id']}`"])
    return (
        "The best configurations by ID validation, trained again on fresh seeds: means over the\n"
        "completed seeds, with 95% t intervals over seeds. They had no part in being selected.\n\n"
        + markdown_table(heads, cells)
    )


def _interval(row: Mapping[Any, Any], score: str) -> str:
    """A score with its interval, as far as they are known."""
    if pd.isna(row[score]):
        return "none"
    ends = (row[f"{score}_low"], row[f"{score}_high"])
    return f"{row[score]:.3f}" + ("" if pd.isna(ends[0]) else " ({:.3f} to {:.3f})".format(*ends))


def _scored(row: Mapping[Any, Any], score: str) -> tuple[str, str]:
    """The accuracy with its interval, and the number of examples behind it."""
    n = "?" if pd.isna(row[f"n_{score}"]) else f"{int(row[f'n_{score}']):,}"
    return (_interval(row, score), "0" if pd.isna(row[score]) else n)


def _reason_lines(pairs: pd.DataFrame) -> list[str]:
    """A line for each row of ``reasons``."""
    different = " (one of them; the others differ in numbers only)"
    return [
        f"- {row['n']:,} {row['status']} ({escape(row['optimizers'])}): {escape(row['reason'])}"
        f"{'' if row['alike'] else different}"
        for row in reasons(pairs).to_dict("records")
    ]


def _figure_link(path: str) -> str:
    target = f"<{path}>" if re.search(r"[\s()]", path) else path
    name = escape(PurePath(path).stem)
    is_image = path.lower().endswith((".png", ".svg"))
    return f"![{name}]({target})" if is_image else f"[{name}]({target})"

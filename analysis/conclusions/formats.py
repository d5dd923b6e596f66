"""Conclusions as Markdown, LaTeX, HTML, JSON and CSV."""

import html
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from oodbench.errors import check_name
from oodbench.results.spreadsheets import write_csv

from ..runs.names import pretty
from .markdown import escape, markdown_table
from .text import NO_ADVICE, Findings, by_place, conclusions_text, exception

ADVICE = "Recommendation"

LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{DEGREE SIGN}": r"$^\circ$",
}


def statements(conclusions: Findings) -> pd.DataFrame:
    """The advice and then the claims, a row each: the columns of ``Conclusions.claims``."""
    advice = [
        {
            "claim": ADVICE,
            "shift": one.shift,
            "dataset": one.datasets,
            "algorithm": one.algorithm,
            "verdict": one.answer,
            "sentence": f"{one.answer}; {one.margin}" if one.margin else one.answer,
            "evidence": "; ".join(one.details),
        }
        for one in conclusions.recommendations
    ]
    columns = conclusions.claims.columns
    first = pd.DataFrame([dict.fromkeys(columns, "") | one for one in advice], columns=columns)
    return pd.concat([first, conclusions.claims], ignore_index=True)


def conclusions_as(
    conclusions: Findings, format_: str, width: int = 80, escape_formulas: bool = True
) -> str:
    """The conclusions in one of ``FORMATS``.

    Args:
        conclusions: The result of ``analysis.conclude``.
        format_: ``text``; ``markdown`` and ``latex``: the advice and a table of the statements
            with what they rest on; ``json``: that and the notes; ``csv``: a row a statement.
        width: Width of lines of text.
        escape_formulas: In ``csv``: see ``oodbench.results.spreadsheets``.

    Raises:
        UnknownNameError: No such format.
    """
    check_name("format", format_, FORMATS)
    if format_ == "csv":
        return _csv(conclusions, width, escape_formulas)
    return FORMATS[format_](conclusions, width)


def _json(conclusions: Findings, width: int) -> str:
    rows = statements(conclusions).to_dict("records")
    return json.dumps({"statements": rows, "notes": dict(conclusions.notes)}, indent=1)


def _csv(conclusions: Findings, width: int, escape_formulas: bool = True) -> str:
    text = io.StringIO()
    write_csv(statements(conclusions), text, escape_formulas)
    return text.getvalue().rstrip("\n")


def _markdown(conclusions: Findings, width: int) -> str:
    parts = [f"## {ADVICE}", *_advice_items(conclusions)]
    for where, rows in _by_place(conclusions):
        cells = [[escape(text) for text in row] for row in rows]
        parts += [f"## {escape(where)}", markdown_table(HEADS, cells, numbers=False)]
    for title, notes in conclusions.notes.items():
        parts += [f"## {title}", "\n".join(f"- {escape(note)}" for note in notes)]
    return "\n\n".join(parts)


HEADS = ("algorithm", "finding", "rests on")


def _advice_items(conclusions: Findings) -> Iterator[str]:
    if not conclusions.recommendations:
        yield escape(NO_ADVICE)
    for one in conclusions.recommendations:
        yield f"**{escape(one.where)}**: {escape(one.words)}"


def _by_place(conclusions: Findings) -> Iterator[tuple[str, list[list[str]]]]:
    for where, rows in by_place(conclusions.claims, conclusions.environments):
        yield where, [_cells(row) for row in rows.to_dict("records")]


def _cells(row: Mapping[Any, Any]) -> list[str]:
    found = f"{row['sentence']}{exception(str(row['not_under']))}"
    return [pretty(str(row["algorithm"])), found, str(row["evidence"])]


def _latex(conclusions: Findings, width: int) -> str:
    """A longtable that needs booktabs and longtable; the advice stands before it."""
    advice = conclusions.recommendations
    lines = [
        "% \\usepackage{booktabs, longtable}",
        *([rf"\paragraph{{{ADVICE}.}}"] if advice else [latex(NO_ADVICE)]),
        *(rf"\emph{{{latex(one.where)}}}: {latex(one.words)}" for one in advice),
        "",
        r"\begin{longtable}{@{}lp{0.85\linewidth}@{}}",
        r"\toprule",
        r"algorithm & finding \\",
        r"\midrule\endhead",
    ]
    for where, rows in _by_place(conclusions):
        lines += [rf"\multicolumn{{2}}{{@{{}}l}}{{\emph{{{latex(where)}}}}} \\*"]
        lines += [" & ".join(latex(cell) for cell in row[:2]) + r" \\" for row in rows]
    lines += [r"\bottomrule", r"\end{longtable}"]
    for title, notes in conclusions.notes.items():
        lines += ["", rf"\paragraph{{{latex(title)}.}} " + latex(" ".join(notes))]
    return "\n".join(lines)


def latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(LATEX.get(character, character) for character in re.sub(r"\s+", " ", text))


def conclusions_html(conclusions: Findings) -> str:
    """The advice, and the statements in tables that open: for notebooks."""
    parts = [f"<h4>{ADVICE}</h4>"]
    if not conclusions.recommendations:
        parts.append(f"<p>{html.escape(NO_ADVICE)}</p>")
    for one in conclusions.recommendations:
        where, words = html.escape(one.where), html.escape(one.words)
        parts.append(f"<p><b>{where}</b>: {words}</p>")
    for where, rows in _by_place(conclusions):
        body = "".join(_html_row("td", row[:2]) for row in rows)
        table_ = f"<table>{_html_row('th', HEADS[:2])}{body}</table>"
        parts.append(f"<details><summary>{html.escape(where)}</summary>{table_}</details>")
    for title, notes in conclusions.notes.items():
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        summary = f"<summary>{html.escape(title)}</summary>"
        parts.append(f"<details>{summary}<ul>{items}</ul></details>")
    return "".join(parts)


def _html_row(tag: str, cells: Any) -> str:
    each = (f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{''.join(each)}</tr>"


FORMATS: Mapping[str, Callable[[Findings, int], str]] = {
    "text": conclusions_text,
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
    "csv": _csv,
}

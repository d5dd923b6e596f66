"""CSV for people: what a spreadsheet would run, and that our own import undoes the escaping."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from oodbench import api
from oodbench.importing import import_csv
from oodbench.results.spreadsheets import escape, unescape, write_csv

RUN = ("=1+1", '=HYPERLINK("http://x.y","z")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1")
"""Texts that a spreadsheet runs, or may."""
HARMLESS = ("sgd", "", "a=1", "it's", "'quoted'", "-3.5", "+1e-3", "-inf", " x", "e-5", "{}")


def cells(frame: pd.DataFrame, **options: bool) -> list[list[str]]:
    text = io.StringIO(newline="")
    write_csv(frame, text, **options)
    return list(csv.reader(io.StringIO(text.getvalue(), newline="")))


@pytest.mark.parametrize("text", RUN)
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(text: str) -> None:
    frame = pd.DataFrame({text: [text], "of two": pd.Categorical([text])})
    assert cells(frame) == [[f"'{text}", "of two"], [f"'{text}", f"'{text}"]]
    assert cells(frame, escape_formulas=False) == [[text, "of two"], [text, text]]


def test_numbers_and_other_texts_stay_what_they_are() -> None:
    frame = pd.DataFrame({"text": HARMLESS, "number": np.linspace(-3.5, 3.5, len(HARMLESS))})
    frame["either"] = [-1.5, "-x", *[None] * (len(frame) - 2)]
    (_, *rows) = cells(frame)
    assert tuple(row[0] for row in rows) == HARMLESS
    assert [float(row[1]) for row in rows] == frame["number"].tolist()
    assert [row[2] for row in rows] == ["-1.5", "'-x", *[""] * (len(frame) - 2)]


@pytest.mark.parametrize("text", [*RUN, *HARMLESS, "'=1", "''=1", "'", "''", "'-3.5", "'+x"])
def test_reading_undoes_it(text: str) -> None:
    """Of texts with apostrophes of their own, too."""
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("escaped", [True, False])
def test_our_own_export_is_imported_as_it_was(
    tmp_path: Path, oodbench: Callable[..., Any], escaped: bool
) -> None:
    names = ["=1+1", "-1+1", "@x", "+x", "'=x", "sgd", "-3.5"]
    table = {"val": 0.5, "test": np.arange(len(names)) / 10, "optimizer": names}
    write_csv(pd.DataFrame(table), tmp_path / "m.csv")
    fields = {"id": "val", "ood": "test", "optimizer": "optimizer", "hparams.=h": "optimizer"}
    import_csv(tmp_path / "m.csv", tmp_path / "m.db", fields, {"dataset": "=X"})
    assert dict(api.query(tmp_path / "m.db")[["ood", "optimizer"]].values) == dict(
        zip(table["test"], names, strict=True)
    )
    options = [] if escaped else ["--no-escape-formulas"]
    written = tmp_path / "out.csv"
    ended = oodbench("export", "csv", "--db", tmp_path / "m.db", "-o", written, *options)
    assert ended.code == 0
    shown = oodbench("query", "--db", tmp_path / "m.db", "--format", "csv", *options).out
    for text in (written.read_text(), shown):
        assert ("'=1+1" in text, "'=X" in text) == (escaped, escaped)
        assert ",-3.5" in text
    again = {"id": "id", "ood": "ood", "optimizer": "optimizer", "dataset": "dataset"}
    import_csv(written, tmp_path / "again.db", again)
    columns = ["ood", "optimizer", "dataset"]
    before, after = (api.query(tmp_path / name)[columns] for name in ("m.db", "again.db"))
    if escaped:  # else a text such as '=x is taken for an escaped one
        assert sorted(after.values.tolist()) == sorted(before.values.tolist())

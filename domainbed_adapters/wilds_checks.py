"""Check that a folder has what a WILDS dataset needs, before anything is trained."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from domainbed_adapters.image_reading import harm_of
from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

GET = (
    "The release's download host has been down since 2026; ask its authors "
    "(https://wilds.stanford.edu), and see docs/wilds.md."
)


@dataclass(frozen=True)
class Sheet:
    """A CSV file of a release.

    Attributes:
        file: Under the dataset's folder.
        columns: The columns that are read.
        between: Column -> the least and the largest number that it may have.
        among: Column -> the values that it may have.
        may_be_empty: Columns that may be so.
    """

    file: str
    columns: tuple[str, ...]
    between: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    among: Mapping[str, Sequence[str]] = field(default_factory=dict)
    may_be_empty: tuple[str, ...] = ()

    def check(self, folder: Path, name: str) -> int:
        """How many rows it has.

        Raises:
            RequestError: If it is not there or cut short, lacks a column or a value, or has one
                that cannot be.
        """
        path = folder / self.file
        if not path.is_file():
            raise RequestError(f"{name}: there is no file {path}. {GET}")
        frame = self._read(path, name)
        if frame.empty:
            raise RequestError(f"{name}: {path} has no rows: it is cut short. Get it again.")
        for column in self.columns:
            missing = frame[column].isna()
            if column not in self.may_be_empty:
                missing |= frame[column] == ""
            if missing.any():
                row = int(missing.to_numpy().argmax())
                raise RequestError(
                    f"{name}: {path} has no {column} in row {row + 1} of {len(frame)} "
                    f"({missing.sum()} in all): the file is cut short or damaged. Get it again."
                )
        self._check_values(frame, path, name)
        return len(frame)

    def _read(self, path: Path, name: str) -> "pd.DataFrame":
        """The columns that are read, as texts."""
        import pandas as pd

        try:
            header = list(pd.read_csv(path, nrows=0).columns)
            absent = [column for column in self.columns if column not in header]
            if absent:
                raise RequestError(
                    f"{name}: {path} has no column {', '.join(absent)}; it has "
                    f"{', '.join(map(str, header))}."
                )
            return pd.read_csv(path, usecols=list(self.columns), dtype=str, keep_default_na=False)
        except (ValueError, OSError) as error:  # also what pandas makes of an open quote
            raise RequestError(
                f"{name}: {path} cannot be read as CSV: {str(error).strip()}. It is cut short or "
                "damaged; get it again."
            ) from error

    def _check_values(self, frame: "pd.DataFrame", path: Path, name: str) -> None:
        import pandas as pd

        for column, (low, high) in self.between.items():
            numbers = pd.to_numeric(frame[column], errors="coerce")
            _refuse(~numbers.between(low, high), frame[column], path, name, f"{low:g} to {high:g}")
        for column, allowed in self.among.items():
            expected = ", ".join(allowed[:12]) + ", ..." * (len(allowed) > 12)
            _refuse(~frame[column].isin(allowed), frame[column], path, name, expected)


def _refuse(
    wrong: "pd.Series[bool]", values: "pd.Series[str]", path: Path, name: str, allowed: str
) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise RequestError(
            f"{name}: {path} has {values.name} = {values.iloc[row]!r} in row {row + 1} "
            f"({wrong.sum()} in all), but it must be one of: {allowed}."
        )


def check_release(folder: Path, version: str, name: str, required: bool) -> None:
    """Raise RequestError unless the folder is there, with its release file if that is required."""
    if not folder.is_dir():
        raise RequestError(f"{name}: there is no folder {folder}. {GET}")
    file = folder / f"RELEASE_v{version}.txt"
    if required and not file.is_file():
        raise RequestError(
            f"{name}: {file} is not there, though {folder} is: wilds takes such a folder for none. "
            "If it is complete, make that file (its content is not read), or say release_file: "
            "optional."
        )


def check_images(root: Path, files: Sequence[str], name: str) -> None:
    """Raise RequestError unless every file that is listed is there."""
    absent = [file for file in files if not os.path.isfile(root / file)]
    if absent:
        raise RequestError(
            f"{name}: {len(absent)} of {len(files)} images are listed but not there, first "
            f"{', '.join(str(root / file) for file in absent[:3])}. Unpack the data again."
        )


def check_ends(root: Path, files: Sequence[str], name: str) -> None:
    """Raise RequestError if an image ends too early: if its last bytes are not an image's end.

    Only such files are decoded here: a file may have something after its end and be fine.
    """
    cut = [file for file in files if not _has_end(root / file) and harm_of(root / file)]
    if cut:
        raise RequestError(
            f"{name}: {len(cut)} of {len(files)} images are empty or cut short, first "
            f"{', '.join(str(root / file) for file in cut[:3])}. Unpack the data again, or say "
            "corrupt: skip."
        )


def _has_end(path: Path) -> bool:
    """Whether the last bytes are the end of a JPEG or PNG file."""
    with path.open("rb") as file:
        file.seek(max(0, os.path.getsize(path) - 12))
        end = file.read()
    return end.endswith(b"\xff\xd9") or end[4:8] == b"IEND"


def refuse_unknown(path: Path, column: str, allowed: Sequence[str], name: str) -> None:
    """Raise RequestError unless every value of a column of a CSV file is among those allowed."""
    import pandas as pd

    values = pd.read_csv(path, usecols=[column], dtype=str, keep_default_na=False)[column]
    expected = ", ".join(allowed[:5]) + f", ... ({len(allowed)} in all)"
    _refuse(~values.isin(allowed), values, path, name, expected)

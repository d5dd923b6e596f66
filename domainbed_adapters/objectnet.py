"""ObjectNet: which of its classes are ImageNet's, as the tables in its own release say."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError

OVERLAP = 113
"""Number of its 313 classes that ImageNet has."""
FOLDERS = "folder_to_objectnet_label.json"
MEANT = "objectnet_to_imagenet_1k.json"
NUMBERS = "pytorch_to_imagenet_2012_id.json"
NAMES = "imagenet_to_label_2012_v2"


def overlap(mappings: Path) -> dict[str, tuple[int, ...]]:
    """Folder of ObjectNet -> the classes of ImageNet that it counts as, one or several.

    Args:
        mappings: The folder of that name in the release.

    Raises:
        RequestError: If a table is missing or is none, or the overlap is not that of the release.
    """
    folders, meant = _table(mappings / FOLDERS), _table(mappings / MEANT)
    lines = _text(mappings / NAMES).splitlines()
    try:
        classes = {lines[line].strip(): int(k) for k, line in _table(mappings / NUMBERS).items()}
        twice = {name for name, n in Counter(map(str.strip, lines)).items() if n > 1}
        found = {
            folder: tuple(sorted(classes[name] for name in meant[label].split("; ")))
            for folder, label in folders.items()
            if label in meant
        }
        unclear = [name for names in meant.values() for name in names.split("; ") if name in twice]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RequestError(f"The tables in {mappings} do not go together: {error!r}.") from error
    taken = [number for numbers in found.values() for number in numbers]
    if len(found) != OVERLAP or len(set(taken)) < len(taken) or unclear:
        raise RequestError(
            f"The tables in {mappings} must give {OVERLAP} classes of ObjectNet that are "
            f"ImageNet's, no class of ImageNet twice, but give {len(found)}. Unpack the release "
            "again."
        )
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RequestError(
            f"Cannot read {path}, which is a part of ObjectNet's release: {error}."
        ) from error


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(_text(path))
    except ValueError as error:
        raise RequestError(f"{path} is no JSON file: {error}. Unpack the release again.") from error
    if not isinstance(table, dict):
        raise RequestError(f"{path} has no table. Unpack the release again.")
    return table

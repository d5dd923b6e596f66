"""Sweep files and command lines with mistakes in them, made of those that are shipped."""

import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from oodbench.sweep.files import read

ODD: list[Any] = [
    *(0, 1, -1, 2, 3.5, -0.5, 1e-300, 1e300, 2**31, 2**63, 10**40, 10**9, 10**12),
    *(float("nan"), float("inf"), True, False, None, "", " ", "x", "each", "none", "\x1b[31m"),
    *("ä" * 5000, "../..", "/etc/passwd", "-1", "1e3", "2026-11-30", "adam", "erm", "irm"),
    *("palsgd(adam)x2", "local_sgd(sgd)x999999999", "Table(x)", "timm.nonesuch", "resnet18"),
    *([], {}, [[]], [None], {"": ""}, {"a": {"b": {}}}, ["x", "x"], [0, 0], list(range(50))),
    *({"log": [1e-4, 1]}, {"log": [0, 1]}, {"log": [1, 1]}, {"uniform": [-1, 1]}),
    *({"int": [1, 8]}, {"int": [0.5, 2]}, {"choice": []}, {"choice": [1, "a"]}, {"log": 3}),
    *({"one_minus_log": [0.5, 1]}, {"choice": [32, 64]}, {"choice": [None]}, {"name": "sgd"}),
]
"""What may stand in place of a value."""
BYTES = b"\x00\xff\t:-[]{}&*!|>'\"%@`#,?\n 0a"


def shipped() -> dict[str, Any]:
    """Name -> what each of the sweep files says that ask for a study themselves."""
    folder = Path(__file__).resolve().parents[2] / "sweeps"
    found = {str(path.relative_to(folder)): read(path, ()) for path in folder.rglob("*.yaml")}
    return {name: values for name, values in found.items() if "name" in values}


def nodes(values: Any) -> Iterator[tuple[Any, Any]]:
    """(the dictionary or list, the key or index) of everything in it."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in list(items):
        yield values, key
        if isinstance(value, dict | list):
            yield from nodes(value)


def mutate(values: Any, draw: random.Random, others: list[Any]) -> None:
    """Change one thing, in place: as a slip, a misunderstanding or an ill will would."""
    place, key = draw.choice(list(nodes(values)))
    value, kind = place[key], draw.randrange(8)
    if isinstance(value, int | float) and draw.random() < 0.5:
        kind = 2
    if kind == 0:
        del place[key]
    elif kind == 1 and isinstance(place, dict):
        place[f"{key}{draw.choice(['s', ' ', '_', 'x' * 300])}"] = place.pop(key)
    elif kind == 2 and isinstance(value, int | float) and not isinstance(value, bool):
        place[key] = value * draw.choice([-1, 0, 2, 3, 10, 1000, 10**6, 10**18, 0.5, 0.99])
    elif kind == 3:
        place[key] = draw.choice([[value], {"name": value}, {key: value}, [value, value]])
    elif kind == 4:
        other, its = draw.choice(list(nodes(draw.choice(others))))
        place[key] = deepcopy(other[its])
    elif kind == 5 and isinstance(place, list):
        place.append(value)
    else:
        place[key] = draw.choice(ODD)


def damaged_text(text: str, draw: random.Random) -> bytes:
    """The text of a file with some bytes changed, left out or put in."""
    content = bytearray(text.encode())
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(content) + 1)
        content[at : at + draw.choice([0, 1, 1, 30])] = bytes(
            draw.choice(BYTES) for _ in range(draw.choice([0, 1, 1, 3]))
        )
    return bytes(content)

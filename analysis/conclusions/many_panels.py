"""Statements about a dataset with many panels, such as 75 targets, in a few sentences for a reader.

Verdicts on one or two panels come with their names.
"""

import pandas as pd

from .claims import AVERAGED, THESE

MANY = 8
"""Panels of a dataset that have a section each."""
EACH = "each of"
"""How the place of what is true of many panels begins."""


def in_short(claims: pd.DataFrame) -> pd.DataFrame:
    """The statements, with one row in place of those about each of a dataset's many panels.

    Args:
        claims: As of ``analysis.Conclusions``, with names for test environments.
    """
    alone = (claims["test_environments"] != AVERAGED) & ~claims["test_environments"].str.contains(
        ","
    )
    panels = claims[alone].groupby("dataset")["test_environments"].nunique()
    many = alone & claims["dataset"].map(panels).gt(MANY)
    if not many.any():
        return claims
    by = ["dataset", "shift", "algorithm", "claim", "about"]
    rows = [
        {
            **dict(zip(by, key, strict=True)),
            "test_environments": f"{EACH} {panels[str(key[0])]}",
            "sentence": _sentence(str(key[3]), str(key[4]), places),
            "not_under": "",
        }
        for key, places in claims[many].groupby(by, sort=False)
    ]
    return pd.concat([claims[~many], pd.DataFrame(rows)], ignore_index=True)


def _sentence(claim: str, about: str, places: pd.DataFrame) -> str:
    """On how many panels each verdict was found."""
    (most, n), *others = places["verdict"].value_counts().items()
    found = [f"{most} on {n}"]
    for verdict, number in others:
        names = places["test_environments"][places["verdict"] == verdict]
        found.append(f"{verdict} on {' and '.join(names) if number < 3 else number}")
    which = "" if about in ("", THESE) else f" ({about})"
    return f"{claim}{which}: {', '.join(found)}"

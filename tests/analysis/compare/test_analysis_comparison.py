"""The settings that every comparison takes, as keywords and as a record."""

from dataclasses import fields

import pandas as pd
import pytest

from analysis.compare.comparison import Comparison, Settings
from analysis.compare.optimizers import compare_kinds, compare_optimizers
from oodbench.errors import RequestError, UnknownNameError


def test_every_setting_of_the_record_is_a_keyword() -> None:
    names = {field.name for field in fields(Comparison)}
    assert set(Settings.__annotations__) == names - {"rule", "predictions"}


def test_an_unknown_setting_is_refused_with_the_near_name(pairs: pd.DataFrame) -> None:
    for compare in (compare_optimizers, compare_kinds):
        with pytest.raises(UnknownNameError, match=r"unknown setting 'budgte'\. Did you mean 'bud"):
            compare(pairs, budgte=2)  # type: ignore[call-arg]


def test_a_spread_takes_two_resamples(pairs: pd.DataFrame) -> None:
    with pytest.raises(RequestError, match="at least 2 resamples, not 1"):
        compare_optimizers(pairs, resamples=1)

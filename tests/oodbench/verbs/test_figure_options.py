"""What is read from a figure's source is what Python sees once it is imported."""

import inspect
from collections.abc import Sequence
from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

import analysis
from analysis.compare.comparison import Comparison
from analysis.plots.appearance import Appearance, LegendAppearance, PanelAppearance
from oodbench.errors import UnknownNameError
from oodbench.verbs.figure_options import figure, figure_names
from oodbench.verbs.plot import READ


def test_every_function_that_returns_a_figure_is_one() -> None:
    public = {name: getattr(analysis, name) for name in dir(analysis)}
    hints = {name: get_type_hints(thing) for name, thing in public.items() if callable(thing)}
    figures = {name for name, hint in hints.items() if "Figure" in str(hint.get("return"))}
    of_audits = {"audit_figure"}  # `oodbench audit -o` draws it: it is not of a database
    assert set(figure_names()) == figures - of_audits


def kind_of(annotation: Any) -> Any:
    """The type that a text of the command line becomes."""
    options = [one for one in get_args(annotation) if one is not NoneType]
    if get_origin(annotation) is Sequence:
        return list[str]
    if annotation in (int, float, bool):
        return annotation
    return options[0] if options and options[0] in (int, float) else str


def of_records(keywords: Any) -> dict[str, tuple[Any, Any]]:
    """The kind and default of keyword arguments, by the records that take them."""
    records = (Comparison, Appearance, PanelAppearance, LegendAppearance)
    defaults = {one.name: one.default for record in records for one in fields(record)}
    rules = {"rule": (str, "id_val")} if "budget" in get_type_hints(keywords) else {}
    return rules | {
        name: (kind_of(hint), defaults[name]) for name, hint in get_type_hints(keywords).items()
    }


@pytest.mark.parametrize("name", figure_names())
def test_options_are_those_of_the_signature(name: str) -> None:
    function, found = getattr(analysis, name), figure(name)
    signature, hints = inspect.signature(function), get_type_hints(function)
    taken = list(signature.parameters.values())
    mine = {one.name: one for one in taken if one.kind is one.KEYWORD_ONLY}
    expected = {key: (kind_of(hints[key]), one.default) for key, one in mine.items()}
    for one in taken:
        if one.kind is one.VAR_KEYWORD:
            (keywords,) = get_args(hints[one.name])
            assert is_typeddict(keywords)
            expected = {**of_records(keywords), **expected}
    assert {key: (one.kind, one.default) for key, one in found.options.items()} == expected
    assert all(one.about.endswith((".", "...")) for one in found.options.values())
    assert found.about == inspect.getdoc(function).splitlines()[0]
    assert list(found.data) == [one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("name", figure_names())
def test_whatever_a_figure_cannot_do_without_is_read_from_the_database(name: str) -> None:
    parameters = inspect.signature(getattr(analysis, name)).parameters
    data = [parameters[one] for one in figure(name).data]
    assert {one.name for one in data if one.default is one.empty} <= set(READ)


def test_an_unknown_figure_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'violin'"):
        figure("violins")

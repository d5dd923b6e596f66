"""Names and what they name; plug-ins by entry point."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from oodbench.errors import RequestError, UnknownNameError
from oodbench.registry import Registry


@dataclass(frozen=True)
class Thing:
    name: str


def install(folder: Path, module: str, text: str, group: str) -> None:
    """A package as pip leaves it: a module, and metadata with an entry point."""
    (folder / f"{module}.py").write_text(text)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\nmine = {module}\n")


def test_things_come_in_the_order_of_registration() -> None:
    things = Registry("thing", [Thing("b"), Thing("a")])
    added = things.add(Thing("c"))
    assert things.names() == ["b", "a", "c"] == [thing.name for thing in things]
    assert things.get("c") is added


def test_a_taken_name_is_refused() -> None:
    things = Registry("thing", [Thing("a")])
    with pytest.raises(RequestError, match="The thing 'a' is registered already"):
        things.add(Thing("a"))


def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    things = Registry("thing", [Thing("nesterov"), Thing("adam")])
    with pytest.raises(UnknownNameError) as error:
        things.get("nestrov")
    text = "unknown thing 'nestrov'. Did you mean 'nesterov'? Allowed: adam, nesterov."
    assert str(error.value) == text


def test_a_plug_in_is_found_at_the_first_lookup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from types import SimpleNamespace\nREGISTER = [SimpleNamespace(name='theirs')]\n"
    install(tmp_path, "plug_in_of_things", text, "oodbench.things")
    monkeypatch.syspath_prepend(tmp_path)
    assert Registry("thing", [Thing("ours")]).names() == ["ours", "theirs"]


def test_a_plug_in_that_takes_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from types import SimpleNamespace\nREGISTER = [SimpleNamespace(name='ours')]\n"
    install(tmp_path, "plug_in_that_clashes", text, "oodbench.things")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RequestError, match="'ours' is registered already"):
        Registry("thing", [Thing("ours")]).get("ours")


def test_a_plug_in_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "plug_in_with_a_bug", "import no_such_module\n", "oodbench.things")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        RequestError, match=r"'plug_in_with_a_bug'.*No module named 'no_such_module'"
    ):
        Registry("thing", [Thing("ours")]).names()


def test_what_is_known_to_be_absent_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "REGISTER = []\nNOT_SUPPORTED = {'Round': 'things are square'}\n"
    install(tmp_path, "plug_in_without_round_things", text, "oodbench.things")
    monkeypatch.syspath_prepend(tmp_path)
    things = Registry("thing", [Thing("ours")])
    assert things.not_supported() == {"Round": "things are square"}
    with pytest.raises(RequestError, match="The thing Round is not supported: things are square"):
        things.get("round")
    with pytest.raises(UnknownNameError):
        things.get("rounder")

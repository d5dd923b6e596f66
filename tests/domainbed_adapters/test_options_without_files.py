"""Options of a wrong kind are refused when a sweep file is read, whether files are here or not."""

from typing import Any

import pytest

from oodbench.data import DATASETS
from oodbench.errors import RequestError

WRONG: dict[type, list[Any]] = {
    int: ["x", 3.5, True, None, [], {}, -1, 0],
    float: ["x", True, None, [], {}, -0.1, 7.0],
    str: [3, True, None, {}, [3], [[]]],
    bool: ["x", 3, None, [], {}],
    list: ["x", 3, None, [3]],
    type(None): [3.5, "x", [3], -1, True],
}
"""By the type of an option's default."""


@pytest.mark.parametrize("spec", list(DATASETS), ids=lambda spec: spec.name)
def test_options_of_a_wrong_kind_are_refused(
    spec, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    own = {name: "mine" for name in ("file", "folder") if spec.options.get(name) == ""}
    spec.check_options(own)  # else what follows shows nothing
    for name, default in spec.options.items():
        for value in WRONG[type(default)]:
            with pytest.raises(RequestError, match=name):
                spec.check_options({**own, name: value})


@pytest.mark.parametrize("name", ["ImageFolders", "Table"])
def test_an_option_that_names_files_must_be_given(name: str) -> None:
    with pytest.raises(RequestError, match=f"{name} needs"):
        DATASETS.get(name).check_options({})


@pytest.mark.parametrize("seeds", [{"seed": 0}, {"seed": 0, "trial_seed": -1}, {"seed": True}, []])
@pytest.mark.parametrize("name", ["PACS", "ColoredMNIST", "RotatedMNIST", "SpawriousO2O_easy"])
def test_domainbeds_seeds_are_two_whole_numbers(name: str, seeds: Any) -> None:
    with pytest.raises(RequestError, match="domainbed needs"):
        DATASETS.get(name).check_options({"domainbed": seeds})

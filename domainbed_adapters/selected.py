"""Selected: a dataset whose test environment has a part of its examples as a target of its own.

A file says which dataset and which examples; ``oodbench audit -o FOLDER`` writes one with those on
which the better model in distribution is the worse one. Trials are tested on the whole environment
and on that part, by itself: ``ood[NAME]`` and ``ood[select]``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.own_files import OWN, check_named, sought
from oodbench.data import DATASETS, Dataset, DatasetSpec, Environment, Rows, Split
from oodbench.errors import RequestError
from oodbench.records import OOD_TEST

NAME, TARGET = "Selected", "select"
FILE = "a file select-*.json of oodbench audit, in a data folder"
KEYS = {"dataset": str, "options": dict, "source": str, "environment": str, "examples": list}


@dataclass(frozen=True)
class Chosen:
    """What such a file says.

    Attributes:
        dataset: Name of the dataset.
        options: Options of the dataset, in place of its defaults.
        source: Whose examples these are; see ``oodbench.data.Dataset``.
        environment: Name of the test environment.
        examples: Numbers of the chosen ones within the source.
    """

    dataset: str
    options: Mapping[str, Any]
    source: str
    environment: str
    examples: tuple[int, ...]

    @property
    def spec(self) -> DatasetSpec:
        """The dataset as it is without the choice."""
        return DATASETS.get(self.dataset).resolved(self.options)

    @property
    def index(self) -> int:
        """The index of the environment."""
        return int(self.spec.indices([self.environment])[0])


def chosen_in(options: Mapping[str, Any]) -> Chosen:
    """What the file that the options name says.

    Raises:
        RequestError: If there is none, or it says something else.
    """
    path = sought(NAME, "file", options.get("file"), FILE)
    return _read(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=4)
def _read(path: Path, *changed: int) -> Chosen:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise RequestError(f"{NAME}: {path} is no JSON file: {error}.") from error
    wrong = [
        name
        for name, kind in KEYS.items()
        if not isinstance(said, dict) or not isinstance(said.get(name), kind)
    ]
    if wrong or not said["examples"] or not all(type(i) is int for i in said["examples"]):
        raise RequestError(
            f"{NAME}: {path} needs the keys {', '.join(KEYS)}, and numbers as examples; wrong: "
            f"{', '.join(wrong) or 'examples'}. Name {FILE}."
        )
    found = Chosen(**{**{name: said[name] for name in KEYS}, "examples": tuple(said["examples"])})
    if DATASETS.get(found.dataset).published or found.spec.published:
        raise RequestError(
            f"{NAME}: {found.dataset} has published splits, which are scored as a whole. Choose "
            "among the examples of a dataset with test environments."
        )
    _ = found.index
    return found


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """The dataset of the file, with the target."""
    chosen = chosen_in(options)
    base, last = chosen.spec, len(chosen.spec.environments)
    more = {chosen.index, last}
    return replace(
        base,
        name=SPEC.name,
        environments=(*base.environments, TARGET),
        apart=tuple(sorted({*base.apart, *more})),
        targets=tuple(sorted({*base.targets, *more})),
        options=SPEC.options,
        check=check,
        resolve=None,
        verify=None,
        summarize=None,
        source=None,
        own=True,
    )


def build(data_seed: int, file: str) -> Dataset:
    """The dataset of the file; its test environment has test examples alone."""
    chosen = chosen_in({"file": file})
    base = DATASETS.get(chosen.dataset).load(chosen.options, data_seed).numbered
    if base.source != chosen.source:
        raise RequestError(
            f"{NAME}: {file} chose examples of {chosen.source}, but those of {chosen.dataset} here "
            f"are of {base.source}: other files, or another data_seed. Use those of the audit."
        )
    environment = base.environments[chosen.index]
    tested = _tested(environment, base.shared)
    assert tested.examples is not None  # the dataset is numbered
    part = _some(tested, np.flatnonzero(np.isin(tested.examples, chosen.examples)))
    if not len(part):
        raise RequestError(
            f"{NAME}: {file} chose {len(chosen.examples)} examples, but none of them is a test "
            f"example of {environment.name} with data_seed {data_seed}. Use that of the audit."
        )
    environments = list(base.environments)
    environments[chosen.index] = replace(environment, splits={"test": tested}, apart=OOD_TEST)
    environments.append(Environment(TARGET, {"test": part}, OOD_TEST, environment.counts_as))
    return replace(base, name=NAME, environments=tuple(environments))


def _tested(environment: Environment, shared: bool) -> Split:
    """What a trial is tested on where this is its test environment."""
    splits = environment.splits
    if "test" not in splits:
        return splits["train"]
    return splits["test"] if shared or "train" not in splits else splits["train"] + splits["test"]


def _some(split: Split, rows: NDArray[np.int64]) -> Split:
    inputs, numbers = split.inputs, split.examples
    some = replace(inputs, rows=inputs.rows[rows]) if isinstance(inputs, Rows) else inputs[rows]
    return replace(
        split,
        inputs=some,
        labels=split.labels[rows],
        examples=None if numbers is None else numbers[rows],
    )


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the option names a file."""
    check_named(NAME, "file", options["file"], FILE)


def verify(options: Mapping[str, Any]) -> Path:
    """The file, if it is right and the examples of its dataset are here."""
    build(0, options["file"])
    return sought(NAME, "file", options["file"], FILE)


def summarize(options: Mapping[str, Any]) -> list[str]:
    """A line that states which examples of which dataset are selected."""
    chosen = chosen_in(options)
    where = f"{chosen.dataset}, environment {chosen.environment}"
    return [f"  {len(chosen.examples):,} examples of {where}"]


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={"file": ""},
    summary="Another dataset, tested on some examples of its test environment by themselves, too.",
    layout="FILE under a data folder, as oodbench audit -o writes it: select-*.json.",
    citation="Salaudeen et al. 2025 (OODSelect).",
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]

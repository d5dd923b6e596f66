"""Features that another network gave: three formats, one dataset; what is no such file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import oodbench
from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.trial_data import tensors_for

Arrays = dict[str, np.ndarray]
N = 120


def arrays() -> Arrays:
    """Four features of three places; the first says the label."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, 4)).astype(np.float32)
    label = np.where(features[:, 0] > 0, "cat", "dog")
    return {"features": features, "label": label, "environment": np.repeat(["x", "y", "z"], N // 3)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    return tmp_path


def load(file: str, **options: object) -> Dataset:
    given = {"file": file, **options}
    return DATASETS.get("Embeddings").resolved(given).load(given, 0)


def write(folder: Path, name: str, given: Arrays) -> str:
    """The same in three ways."""
    others = pd.DataFrame({key: value for key, value in given.items() if key != "features"})
    if name.endswith(".npz"):
        np.savez(folder / name, **given)
    elif name.endswith(".npy"):
        np.save(folder / name, given["features"])
        others.to_csv((folder / name).with_suffix(".csv"), index=False)
    else:
        others.assign(features=list(given["features"])).to_parquet(folder / name)
    return name


@pytest.mark.parametrize("name", ["e.npz", "e.npy", "e.parquet"])
def test_each_row_keeps_its_label_and_place(folder: Path, name: str) -> None:
    given = arrays()
    data = load(write(folder, name, given))
    assert [e.name for e in data.environments] == ["x", "y", "z"]
    assert data.classes == ("cat", "dog")
    assert data.input_shape == (4,)
    rows = []
    for environment in data.environments:
        for split in environment.splits.values():
            assert (np.asarray(split.inputs) == given["features"][split.numbers]).all()
            assert (split.labels == (given["label"][split.numbers] == "dog")).all()
            assert (given["environment"][split.numbers] == environment.name).all()
            rows += split.numbers.tolist()
    assert sorted(rows) == list(range(N))


def test_formats_numbers_and_plurals_are_the_same_data(folder: Path) -> None:
    given = arrays()
    known = load(write(folder, "a.npz", given)).fingerprint
    assert load(write(folder, "b.npy", given)).fingerprint == known
    assert load(write(folder, "c.parquet", given)).fingerprint == known
    np.savez(
        folder / "d.npz",
        features=given["features"].astype(np.float64),
        labels=given["label"].astype("S"),
        environments=given["environment"],
    )
    assert load("d.npz").fingerprint == known
    code = (given["label"] == "dog").astype(float)
    assert load(write(folder, "e.npz", {**given, "label": code})).fingerprint == known
    assert load("e.npz").classes == ("0", "1")
    given["features"][3, 1] += 1
    assert load(write(folder, "f.npz", given)).fingerprint != known


def test_splits_of_the_file(folder: Path) -> None:
    split = np.resize(["train", "id_val", "ood_test"], N)
    data = load(write(folder, "e.npz", {**arrays(), "split": split}))
    assert [p.role for p in data.published] == ["id_val", "ood_test"]
    for published in data.published:
        assert (split[published.split.numbers] == published.name).all()


def test_heads_are_trained_on_them(folder: Path) -> None:
    file = write(folder, "e.npz", arrays())
    sweep = {
        "name": "e",
        "datasets": [{"name": "Embeddings", "file": file, "test_environments": [1]}],
        "algorithms": ["erm", "irm"],
        "optimizers": [{"name": "adam", "space": {"lr": 0.1}}],
        "model": "linear",
        "search": {"trials": 2},
        "train": {"steps": 100, "batch": {"per_environment": 16}},
    }
    (folder / "e.yaml").write_text(json.dumps(sweep))
    oodbench.run_sweep(folder / "e.yaml", folder / "e.db", workers=1)
    runs = oodbench.query(folder / "e.db")
    assert runs["status"].tolist() == ["completed"] * 4
    assert runs.groupby("algorithm")["ood"].max()["erm"] > 0.9


def test_they_are_standardised_if_asked(folder: Path) -> None:
    given = arrays()
    given["features"][:, 1] = given["features"][:, 1] * 50 + 300
    asked = {
        "name": "e",
        "datasets": [
            {"name": "Embeddings", "file": write(folder, "e.npz", given), "test_environments": [2]}
        ],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": "linear",
        "search": {"trials": 1},
        "train": {"steps": 1, "batch": {"size": 8}},
    }
    found = []
    for standardise in (False, True):
        asked["datasets"][0]["standardise"] = standardise
        trial = plan(parse_sweep(asked)).studies[0].trials[0]
        found.append(tensors_for(trial, torch.device("cpu")).inputs[:])
    plain, standard = found
    mean, deviation = plain.mean(0), plain.std(0, correction=0)
    assert float(plain[:, 1].mean()) > 200
    assert torch.allclose(standard, (plain - mean) / deviation, atol=1e-4)
    with pytest.raises(RequestError, match="standardise must be true or false, not 'yes'"):
        load("e.npz", standardise="yes")


def changed(**others: object) -> Callable[[Arrays], Arrays]:
    return lambda given: {**given, **others}


LABELS = np.arange(N) % 2
FEATURES = arrays()["features"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(features=FEATURES.astype(object)), r"holds Python objects.*astype\('f4'\)"),
        (changed(label=LABELS.astype(object)), "holds Python objects.*dtype=str"),
        (changed(label=LABELS[1:]), r"label of shape \(119,\), but 120 rows of features"),
        (changed(environment=LABELS[:5]), r"environment of shape \(5,\), but 120 rows"),
        (changed(label=LABELS[:, None]), r"label of shape \(120, 1\).*label\.ravel\(\)"),
        (changed(label=np.eye(2)[LABELS]), r"\(120, 2\).*label\.argmax\(axis=1\)"),
        (changed(label=np.array(1)), r"label of shape \(\), but 120 rows"),
        (changed(features=FEATURES[:, 0]), r"features of shape \(120,\); they must be \(n, d\)"),
        (changed(features=FEATURES[:, :, None]), r"reshape\(len\(features\), -1\)"),
        (changed(features=FEATURES[:, :0]), r"shape \(120, 0\)"),
        (changed(features=FEATURES.astype(complex)), "features of type complex128"),
        (changed(features=FEATURES.astype(str)), "features of type <U"),
        (
            changed(features=np.where(np.arange(N)[:, None] == 6, [0, np.nan, 0, 0], FEATURES)),
            r"has nan in row 7, feature 2 \(1 such rows\)",
        ),
        (
            changed(features=FEATURES.astype(float) * 1e300),
            "row 1, feature 1.*no finite number in float32",
        ),
        (changed(label=LABELS + 0.5), "label = 0.5 in row 1.*that is a regression"),
        (changed(label=np.arange(N)), "120 different numbers as labels.*that is a regression"),
        (changed(label=np.where(LABELS, np.nan, 0)), r"no label in row 2 of 120 \(60 in all\)"),
        (changed(label=np.where(LABELS, np.inf, 0)), "label = inf in row 2; fix it"),
        (changed(label=LABELS * 0), "has one label only, 0"),
        (changed(label=LABELS.astype("datetime64[s]")), "label of type datetime64"),
        (changed(label=np.where(LABELS, "1", "1.0")), "which differ in how a number is written"),
        (changed(labels=LABELS), "has both label and labels; remove one"),
        (changed(split=np.full(N, "tset")), "split = 'tset' in row 1"),
        (changed(split=np.full(N, "id_val")), "no example whose split is train"),
        (lambda given: {"features": given["features"]}, r"has features, but no label\. It needs"),
        (lambda given: {"x": given["label"]}, "has x, but no features"),
    ],
)
def test_mistakes_are_named(folder: Path, change: Callable[[Arrays], Arrays], reason: str) -> None:
    np.savez(folder / "e.npz", **change(arrays()))
    with pytest.raises(RequestError, match=f"Embeddings: .*{reason}"):
        load("e.npz")


def test_a_csv_whose_rows_have_more_fields_than_columns_is_refused(folder: Path) -> None:
    """Else the first field would be the row's name, and the label would be the second."""
    np.save(folder / "moved.npy", FEATURES)
    rows = [f"{i},{i % 2},a" for i in range(len(FEATURES))]
    (folder / "moved.csv").write_text("\n".join(["label,environment", *rows]))
    with pytest.raises(
        RequestError, match=r"Embeddings: the rows of .*moved\.csv have more fields"
    ):
        load("moved.npy")


def test_files_that_are_none(folder: Path) -> None:
    write(folder, "e.npz", arrays())
    whole = (folder / "e.npz").read_bytes()
    for name, content in (("cut.npz", whole[:300]), ("text.npz", b"hello"), ("empty.npz", b"")):
        (folder / name).write_bytes(content)
        with pytest.raises(RequestError, match=rf"Embeddings: .*{name} cannot be read: \w"):
            load(name)
    np.save(folder / "alone.npy", FEATURES)
    with pytest.raises(RequestError, match=r"there is no .*alone\.csv beside"):
        load("alone.npy")
    for name, fix in (("e.csv", "dataset Table reads it"), ("e.pt", r"save it with numpy\.savez")):
        (folder / name).write_text("label")
        with pytest.raises(RequestError, match=rf"no \.npz, \.npy or \.parquet file; {fix}"):
            load(name)
    with pytest.raises(RequestError, match=r"there is no file 'f\.npz' in"):
        load("f.npz")


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ([[1.0, 2.0]] * (N - 1) + [[1.0]], r"has 1 numbers in features in row 120 \(1 such"),
        ([None] + [[1.0, 2.0]] * (N - 1), "has 0 numbers in features in row 1"),
        ([[None, 2.0]] + [[1.0, 2.0]] * (N - 1), "has nan in row 1, feature 1"),
        ([["a", "b"]] * N, "features of type object"),
        (list(range(N)), "not lists of numbers.*dataset Table"),
    ],
)
def test_lists_of_a_parquet_file(folder: Path, features: list, reason: str) -> None:
    table = pd.DataFrame({"label": LABELS, "environment": LABELS}).assign(features=features)
    table.to_parquet(folder / "e.parquet")
    with pytest.raises(RequestError, match=reason):
        load("e.parquet")


def test_a_file_cut_or_flipped_anywhere_is_refused_or_right(folder: Path) -> None:
    """No traceback, and no other numbers: .npz has a checksum of each array."""
    name = write(folder, "e.npz", arrays())
    whole, known = (folder / name).read_bytes(), load(name).fingerprint
    rng = np.random.default_rng(0)
    for trial in range(60):
        damaged = bytearray(whole)
        if trial % 2:
            damaged = damaged[: rng.integers(len(whole))]
        else:
            damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        (folder / name).write_bytes(bytes(damaged))
        try:
            assert load(name).fingerprint == known
        except RequestError:
            continue


def test_features_in_two_environments_are_refused_unless_kept(folder: Path) -> None:
    given = arrays()
    given["features"][N - 1] = given["features"][0]
    file = write(folder, "twice.npz", given)
    reason = rf"twice.npz: 1 embedding is in x and in z \(first row 1, row {N}\)"
    with pytest.raises(RequestError, match=reason):
        load(file)
    with pytest.raises(RequestError, match=reason):
        DATASETS.get("Embeddings").verify({"file": file})
    assert load(file, duplicates="keep").num_classes == 2

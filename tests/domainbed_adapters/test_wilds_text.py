"""WILDS' text sets: the splits, labels and groups of the package, words of training texts alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from wilds_fixtures import make

from domainbed_adapters.wilds_compat import load
from domainbed_adapters.wilds_text import AMAZON, CIVILCOMMENTS
from oodbench.data import DATASETS, Dataset
from oodbench.errors import OodbenchError, RequestError

RELEASES = {"Amazon": AMAZON, "CivilComments": CIVILCOMMENTS}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))

    def build(name: str, **options: object) -> Dataset:
        if not (tmp_path / RELEASES[name].folder).exists():
            make(tmp_path, name)
        return DATASETS.get(name).load({"words": 20, **options}, 0)

    return build


@pytest.mark.parametrize("name", RELEASES)
def test_splits_and_labels_are_those_of_wilds(name: str, built, tmp_path: Path) -> None:
    data = built(name)
    theirs = load(RELEASES[name].wilds, tmp_path)
    roles = {given.name: given.role for given in data.published}
    if name == "Amazon":
        assert roles == {
            **{"id_val": "id_val", "id_test": "id_test"},
            **{"val": "ood_val", "test": "ood_test"},
        }
        assert len(data.environments) == 12
        assert [e.name for e in data.environments] == [f"A{user:03}" for user in range(12)]
    else:
        assert roles == {"val": "id_val", "test": "id_test"}
        assert [given.worst for given in data.published] == ["", "ood_test"]
    for given in data.published:
        labels = theirs.get_subset(given.name).y_array.numpy()
        np.testing.assert_array_equal(given.split.labels, labels)
    mine = np.concatenate([e.splits["train"].labels for e in data.environments])
    assert sorted(mine) == sorted(theirs.get_subset("train").y_array.tolist())


@pytest.mark.parametrize("name", RELEASES)
def test_texts_are_scikit_learns_tfidf_of_the_training_words(name, built, tmp_path) -> None:
    data, theirs = built(name), load(RELEASES[name].wilds, tmp_path)
    tfidf = TfidfVectorizer(max_features=20, sublinear_tf=True)
    tfidf.fit([theirs.get_input(i) for i in np.flatnonzero(theirs.split_array == 0)])
    for given in data.published:
        rows = np.flatnonzero(theirs.split_array == theirs.split_dict[given.name])
        expected = tfidf.transform([theirs.get_input(i) for i in rows]).toarray()
        np.testing.assert_allclose(np.asarray(given.split.inputs), expected, atol=1e-6)


def test_amazons_val_may_be_taken_for_the_id_split(built) -> None:
    """As the study took it: then nothing else is, and nothing is left to be ``ood_val``."""
    data, usual = built("Amazon", amazon_id="val"), built("Amazon")
    assert {p.name: p.role for p in data.published} == {"val": "id_val", "test": "ood_test"}
    of = {p.name: p.split.labels.tolist() for p in usual.published}
    assert [p.split.labels.tolist() for p in data.published] == [of["val"], of["test"]]
    with pytest.raises(OodbenchError, match="unknown amazon_id 'test'"):
        built("Amazon", amazon_id="test")


def test_groups_of_civilcomments_overlap_and_name_an_identity(built, tmp_path) -> None:
    data, theirs = built("CivilComments"), load("civilcomments", tmp_path)
    assert len(data.groups) == 16
    assert data.groups[:2] == ("male: 1, y: 0", "male: 1, y: 1")
    (_, test) = data.published
    rows = np.flatnonzero(theirs.split_array == theirs.split_dict["test"])
    metadata = theirs.metadata_array.numpy()[rows]
    for code, name in enumerate(data.groups):
        field, label = name.split(": 1, y: ")
        inside = metadata[:, theirs.metadata_fields.index(field)] == 1
        inside &= theirs.y_array.numpy()[rows] == int(label)
        np.testing.assert_array_equal((test.groups == code).any(axis=1), inside)
    assert not (test.groups == data.groups.index("muslim: 1, y: 1")).any()


def test_environments_of_civilcomments_have_both_labels_unless_published(built) -> None:
    usual, published = built("CivilComments"), built("CivilComments", environments="published")
    assert [e.name for e in usual.environments] == ["0", "1"]
    assert all(set(e.splits["train"].labels) == {0, 1} for e in usual.environments)
    assert [set(e.splits["train"].labels) for e in published.environments] == [{0}, {1}] * 2


def test_what_is_wrong_is_named(built, tmp_path: Path) -> None:
    built("Amazon")
    folder = tmp_path / AMAZON.folder
    reviews = (folder / "reviews.csv").read_bytes()
    (folder / "reviews.csv").write_bytes(reviews[: reviews.rfind(b'"', 0, -40)])
    with pytest.raises(RequestError, match=r"reviews.csv .*cut short"):
        AMAZON.check(tmp_path)
    lines = reviews.decode().splitlines(keepends=True)
    (folder / "reviews.csv").write_text("".join(lines[:-1]))
    with pytest.raises(RequestError, match=r"reviews.csv 239, splits/user.csv 240"):
        built("Amazon")
    (folder / "reviews.csv").write_text(
        "".join([lines[0], lines[1].replace(".0,", "7.0,"), *lines[2:]])
    )
    with pytest.raises(RequestError, match=r"has overall = '.7\.0' in row 1"):
        built("Amazon")


@pytest.mark.parametrize("words", [0, 2.0, True, "many"])
def test_words_are_a_number(built, words: object) -> None:
    with pytest.raises(RequestError, match="words must be a whole number from 1"):
        built("CivilComments", words=words)


def test_words_that_there_are_not_are_zeros(built) -> None:
    data = built("CivilComments", words=500)
    inputs = np.asarray(data.published[0].split.inputs)
    assert inputs.shape == (48, 500)
    assert not inputs[:, 100:].any()
    assert data.fingerprint != built("CivilComments").fingerprint

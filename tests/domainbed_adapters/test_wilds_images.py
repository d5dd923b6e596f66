"""WILDS' image sets: the splits, labels and pixels of the package, and what is wrong is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wilds_fixtures import make

from domainbed_adapters import wilds_images
from domainbed_adapters.wilds_compat import compatible, load
from domainbed_adapters.wilds_images import REGISTER
from domainbed_adapters.wilds_release import Release
from oodbench.data import DATASETS, Dataset
from oodbench.errors import OodbenchError, RequestError

RELEASES = {
    thing.name: thing for thing in vars(wilds_images).values() if isinstance(thing, Release)
}
NAMES = [spec.name for spec in REGISTER]
ROLES = {
    "Camelyon17": {"id_val": "id_val", "val": "ood_val", "test": "ood_test"},
    "RxRx1": {"id_test": "id_test", "val": "ood_val", "test": "ood_test"},
    "WILDSDomainNet": {"id_test": "id_test", "val": "ood_val", "test": "ood_test"},
    "Waterbirds": {"val": "id_val", "test": "id_test"},
    "CelebA": {"val": "id_val", "test": "id_test"},
}
ALL = {"id_val": "id_val", "id_test": "id_test", "val": "ood_val", "test": "ood_test"}
ENVIRONMENTS = {
    "Camelyon17": "0 3 4",
    "iWildCam": "0 1 2 3 4 5",
    "FMoW": " ".join(map(str, range(2002, 2013))),
    "RxRx1": "HEPG2-01 HUVEC-01 RPE-01",
    "Waterbirds": "land water",
    "CelebA": "0 1",
    "WILDSDomainNet": "sketch",
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A data folder of each dataset, made once."""
    made: dict[str, Path] = {}

    def root(name: str) -> Path:
        if name not in made:
            made[name] = make(tmp_path_factory.mktemp(name), name)
        return made[name]

    return root


@pytest.fixture
def built(roots, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    def build(name: str, **options: object) -> Dataset:
        monkeypatch.setenv("OODBENCH_DATA", str(roots(name)))
        return DATASETS.get(name).load({"size": 16, **options}, 0)

    return build


@pytest.fixture
def harmed(roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A copy of a dataset's folder, the machine's own."""

    def copy(name: str) -> Path:
        shutil.copytree(roots(name), tmp_path / "data")
        monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
        return tmp_path / "data" / RELEASES[name].folder

    return copy


@pytest.mark.parametrize("name", NAMES)
def test_splits_labels_and_pixels_are_those_of_wilds(name: str, built, roots) -> None:
    data, theirs = built(name), load(RELEASES[name].wilds, roots(name))
    assert {p.name: p.role for p in data.published} == ROLES.get(name, ALL)
    assert [e.name for e in data.environments] == ENVIRONMENTS[name].split()
    assert data.num_classes == theirs.n_classes
    for given in data.published:
        subset = theirs.get_subset(given.name)
        np.testing.assert_array_equal(given.split.labels, subset.y_array.numpy())
        with compatible(RELEASES[name].wilds):
            for row in (0, len(subset) - 1):
                pixels = np.asarray(subset[row][0].convert("RGB")).transpose(2, 0, 1)
                np.testing.assert_array_equal(given.split.inputs[row], pixels)
    mine = np.sort(np.concatenate([e.splits["train"].labels for e in data.environments]))
    np.testing.assert_array_equal(mine, np.sort(theirs.get_subset("train").y_array.numpy()))


@pytest.mark.parametrize("name", NAMES)
def test_no_example_plays_two_parts(name: str, built) -> None:
    data = built(name)
    parts = [e.splits["train"] for e in data.environments] + [p.split for p in data.published]
    rows = np.concatenate([part.inputs.rows for part in parts])
    assert len(np.unique(rows)) == len(rows) == len(parts[0].inputs.stored)
    assert data.source == name


@pytest.mark.parametrize(
    ("name", "field"), [("Camelyon17", "hospital"), ("FMoW", "year"), ("iWildCam", "location")]
)
def test_an_environment_has_the_training_examples_with_its_value(name, field, built, roots) -> None:
    theirs = load(RELEASES[name].wilds, roots(name))
    train = theirs.get_subset("train")
    values = train.metadata_array[:, theirs.metadata_fields.index(field)].numpy()
    values = values + (2002 if field == "year" else 0)
    for environment in built(name).environments:
        expected = train.y_array.numpy()[values == int(environment.name)]
        np.testing.assert_array_equal(environment.splits["train"].labels, expected)


def test_published_environments_have_the_label_in_them_and_are_asked_for(built) -> None:
    """So each has one label, and IRM nothing to be invariant about: not the default."""
    data = built("Waterbirds", environments="published")
    names = [environment.name for environment in data.environments]
    assert names == [
        *("background: land, y: landbird", "background: land, y: waterbird"),
        *("background: water, y: landbird", "background: water, y: waterbird"),
    ]
    labels = [set(environment.splits["train"].labels) for environment in data.environments]
    assert labels == [{0}, {1}, {0}, {1}]
    assert [len(e.splits["train"]) for e in data.environments] == [36, 4, 4, 16]
    other = built("Camelyon17", environments="slide")
    assert len(other.environments) == 12
    assert other.fingerprint != built("Camelyon17").fingerprint


def test_the_spec_is_resolved_with_the_environments_of_the_files(roots, monkeypatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(roots("iWildCam")))
    spec = DATASETS.get("iWildCam").resolved({})
    assert (spec.environments, spec.num_classes) == (("0", "1", "2", "3", "4", "5"), 6)
    spec.check_test_environments(())
    with pytest.raises(RequestError, match="published splits, so no test environments"):
        spec.check_test_environments((0,))


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_folder_passes(name: str, roots) -> None:
    RELEASES[name].check(roots(name))


def cut(path: Path) -> None:
    """As an interrupted copy leaves it: in the middle of the last row."""
    text = path.read_bytes()
    path.write_bytes(text[: text.rstrip().rfind(b"\n") + 6])


def rewrite(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("name", "file", "harm", "told"),
    [
        ("Camelyon17", "RELEASE_v1.0.txt", Path.unlink, "RELEASE_v1.0.txt is not there.*optional"),
        ("Camelyon17", "metadata.csv", Path.unlink, "there is no file .*metadata.csv"),
        ("Camelyon17", "metadata.csv", cut, "has no .* in row 120 of 120 .*cut short"),
        (
            "Camelyon17",
            "metadata.csv",
            rewrite("tumor", "tumour"),
            "metadata.csv has no column tumor; it has",
        ),
        (
            "Waterbirds",
            "metadata.csv",
            rewrite("bird_5.jpg,0", "bird_5.jpg,2"),
            r"has y = '2' in row 6 \(1 in all\), but it must be one of: 0 to 1",
        ),
        ("CelebA", "list_eval_partition.csv", cut, "cut short"),
        (
            "WILDSDomainNet",
            "metadata.csv",
            lambda path: path.write_text(path.read_text().split("\n")[0] + "\n"),
            "metadata.csv has no rows: it is cut short",
        ),
        (
            "CelebA",
            "list_eval_partition.csv",
            lambda path: path.write_text(path.read_text().rsplit("\n", 2)[0] + "\n"),
            r"equally many rows, but have: list_attr_celeba.csv 108, list_eval_partition.csv 107",
        ),
        ("FMoW", "rgb_metadata.csv", rewrite("barn", "castle"), "has category = 'castle' in row"),
        (
            "iWildCam",
            "metadata.csv",
            lambda path: path.write_text(
                "\n".join(
                    line.replace("train,0,", "train,77,", 1)
                    for line in path.read_text().split("\n")
                )
            ),
            "wilds cannot read .*AssertionError.*numbered from 0 without a gap",
        ),
        ("RxRx1", "metadata.csv", rewrite(",1,B01,1,0", ",1,B01,1,-3"), "has sirna_id = '-3'"),
        ("WILDSDomainNet", "metadata.csv", rewrite(',"test",', ',"tset",'), "split = 'tset'"),
        (
            "RxRx1",
            "images/RPE-08/Plate1/B01_s1.png",
            Path.unlink,
            r"1 of 120 images are listed but not there, first .*RPE-08/Plate1/B01_s1.png",
        ),
    ],
)
def test_what_is_wrong_is_named_by_the_check_and_before_a_sweep(
    name: str, file: str, harm: Callable[[Path], object], told: str, harmed
) -> None:
    folder = harmed(name)
    harm(folder / file)
    with pytest.raises(RequestError, match=told):
        RELEASES[name].check(folder.parent)
    with pytest.raises(RequestError, match=told):
        DATASETS.get(name).load({"size": 16}, 0)


def test_a_missing_release_file_need_not_stop_one(harmed, built) -> None:
    (harmed("Waterbirds") / "RELEASE_v1.0.txt").unlink()
    spec = DATASETS.get("Waterbirds")
    assert spec.verify({"release_file": "optional"}).name == "waterbirds_v1.0"
    with pytest.raises(RequestError, match="or say release_file: optional"):
        spec.verify({})
    data = spec.load({"size": 16, "release_file": "optional"}, 0)
    assert data.fingerprint == built("Waterbirds").fingerprint


def test_a_damaged_image_is_named_or_skipped(harmed) -> None:
    path = harmed("CelebA") / "img_align_celeba" / "000108.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RequestError, match=r"1 of 108 files .*000108.jpg.*corrupt: skip"):
        DATASETS.get("CelebA").load({"size": 16}, 0)
    data = DATASETS.get("CelebA").load({"size": 16, "corrupt": "skip"}, 0)
    assert [len(given.split) for given in data.published] == [24, 23]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("CelebA", "img_align_celeba/000108.jpg"),
        ("RxRx1", "images/RPE-08/Plate1/B01_s1.png"),
    ],
)
def test_an_image_that_is_cut_short_is_named_by_the_check(name: str, file: str, harmed) -> None:
    root = harmed(name).parent
    path = root / RELEASES[name].folder / file
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(RequestError, match=rf"1 of \d+ images are empty or cut .*{file}"):
            RELEASES[name].check(root)
    path.write_bytes(whole + b"something after its end")
    RELEASES[name].check(root)


def test_a_mistyped_root_is_not_created(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "daat"))
    with pytest.raises(RequestError, match=r"no camelyon17_v1\.0 in .*daat"):
        DATASETS.get("Camelyon17").load({}, 0)
    assert not (tmp_path / "daat").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"environments": "hostpital"}, "unknown metadata field 'hostpital'. Did you mean 'hospit"),
        ({"environments": 3}, "environments must be published or metadata fields"),
        ({"release_file": "maybe"}, "unknown release_file 'maybe'"),
        ({"size": 4}, "size must be a whole number"),
    ],
)
def test_bad_options_are_refused(options: dict, told: str, built) -> None:
    with pytest.raises(OodbenchError, match=told):
        built("Camelyon17", **options)


def test_the_command_checks_a_folder(roots, monkeypatch, capsys) -> None:
    from oodbench.cli import main

    for name, code in (("FMoW", 0), ("RxRx1", 2)):
        words = ["oodbench", "datasets", name, "--check", "--root", str(roots("FMoW"))]
        monkeypatch.setenv("OODBENCH_DATA", "nowhere")
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as end:
            main()
        assert (end.value.code or 0) == code
    said = capsys.readouterr()
    assert "fmow_v1.1 are complete and right" in said.out
    assert "no rxrx1_v1.0 in" in said.err

"""ColoredMNIST and RotatedMNIST are what they say; with ``domainbed`` they are DomainBed's."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from domainbed_adapters.domainbed import in_out, seed_hash
from domainbed_adapters.rotations import rotate
from oodbench import api
from oodbench.data import DATASETS
from oodbench.errors import RequestError
from oodbench.results import add_sweep, open_database
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.training import load
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

RECIPE = Path(__file__).parents[2] / "sweeps" / "colored_mnist.yaml"

# sha256 of what DomainBed itself builds (facebookresearch/DomainBed at b93c22a, torch 2.15,
# torchvision 0.29, Pillow 13), for (--dataset, --seed, --trial_seed). Derived so:
#
#   random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)
#   tensors, splits = hashlib.sha256(), hashlib.sha256()
#   for i, env in enumerate(getattr(domainbed.datasets, name)(data_dir, [0], {})):
#       out, in_ = misc.split_dataset(env, int(len(env) * 0.2), misc.seed_hash(trial_seed, i))
#       for tensor in env.tensors:                                  # float32, int64
#           tensors.update(tensor.numpy().tobytes())
#       for split in (in_, out):
#           splits.update(np.array(split.keys, "<i8").tobytes())
DOMAINBED = {
    ("ColoredMNIST", 0, 0): (
        "489f0b7b4b721501017b56da2dd1b67ca89a12332409e2380f726bb43a57ad2e",
        "ab1dd915ac8d622c5162d8381d50d29fe0506e1778750a2f121efa50e121f830",
    ),
    ("ColoredMNIST", 1563456041, 2): (
        "92bc816718ffb250adc6d5ffd52cfef8fe68b922a5ad1a832452a0fda8aa61cf",
        "c1e631586f5ee0a79af6838b0b6e162c377dc9ce7d23bbc5e39fb5e8607916d7",
    ),
    ("RotatedMNIST", 0, 0): (
        "82da20073ef588837a5036c90843e49bdc777dc7622a4e3b70de0a2495eeb8f4",
        "08875e5dc8e7d90d2a4885af81373bfaf24550589eab1a03c96a450ab3d2ce38",
    ),
    ("RotatedMNIST", 1563456041, 2): (
        "089219e2e70c5414476eb15fc8f5a03c032ad3b87b62ad7dafb390c271dc6ac3",
        "783d4b75c5618424fbccf4edf5321a83b0d61a572e0632338c2db163e9a86bf5",
    ),
}


@pytest.mark.parametrize(("name", "seed", "trial_seed"), DOMAINBED)
def test_domainbeds_tensors_and_splits(real_mnist, name: str, seed: int, trial_seed: int) -> None:
    option = {"domainbed": {"seed": seed, "trial_seed": trial_seed}}
    torch.manual_seed(7)  # the global generator decides nothing, and is left alone
    before = torch.get_rng_state()
    dataset = DATASETS.get(name).load(option, data_seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    tensors, splits = hashlib.sha256(), hashlib.sha256()
    for i, environment in enumerate(dataset.environments):
        train, val = environment.splits["train"], environment.splits["val"]
        assert set(environment.splits) == {"train", "val"}
        in_, out = in_out(len(train) + len(val), trial_seed, i)
        for ours in ("inputs", "labels"):
            parts = getattr(train, ours), getattr(val, ours)
            whole = np.empty((len(in_) + len(out), *parts[0].shape[1:]), parts[0].dtype)
            whole[in_], whole[out] = parts
            if ours == "inputs":
                whole = whole.astype(np.float32) / np.float32(255)
            tensors.update(whole.tobytes())
        splits.update(in_.astype("<i8").tobytes() + out.astype("<i8").tobytes())
    assert (tensors.hexdigest(), splits.hexdigest()) == DOMAINBED[name, seed, trial_seed]


def test_seed_hash_is_domainbeds() -> None:
    assert seed_hash(0, 0) == 894182419


@pytest.fixture
def files(small_mnist):
    for name in small_mnist.contents:
        small_mnist.write(name)
    return small_mnist


@pytest.mark.parametrize("angle", [0, 15, 45, 75])
def test_rotations_are_pils_own_image_by_image(angle: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    expected = [Image.fromarray(i).rotate(angle, Image.Resampling.BILINEAR) for i in images]
    np.testing.assert_array_equal(rotate(images, angle), np.stack(expected))


@pytest.mark.parametrize("size", [28, 14])
def test_rotated_environments(files, size: int) -> None:
    dataset = DATASETS.get("RotatedMNIST").load({"size": size}, 0)
    assert [e.name for e in dataset.environments] == ["0", "15", "30", "45", "60", "75"]
    assert dataset.input_shape == (1, size, size)
    step = 28 // size
    originals = {image[::step, ::step].tobytes(): i for i, image in enumerate(files.images)}
    upright = dataset.environments[0].splits["test"]
    which = [originals[x.tobytes()] for x in upright.inputs[:, 0]]
    for environment in dataset.environments:
        split = environment.splits["test"]
        turned = rotate(files.images[which], int(environment.name))[:, ::step, ::step]
        np.testing.assert_array_equal(split.inputs[:, 0], turned)
        np.testing.assert_array_equal(split.labels, files.labels[which])
        np.testing.assert_array_equal(split.examples, which)
        assert split.inputs.dtype == np.uint8


@pytest.mark.parametrize("size", [28, 14])
def test_colored_environments_show_mnists_digits_in_one_channel(files, size: int) -> None:
    dataset = DATASETS.get("ColoredMNIST").load({"size": size, "label_noise": 0}, 0)
    assert [e.name for e in dataset.environments] == ["+90%", "+80%", "-90%"]
    assert dataset.input_shape == (2, size, size)
    step = 28 // size
    originals = {image[::step, ::step].tobytes(): i for i, image in enumerate(files.images)}
    dealt = []
    for environment in dataset.environments:
        for part, split in environment.splits.items():
            lit = split.inputs.any(axis=(2, 3))
            assert (lit.sum(axis=1) == 1).all()
            which = [originals[x.tobytes()] for x in split.inputs.max(axis=1)]
            np.testing.assert_array_equal(split.labels, files.labels[which] < 5)
            np.testing.assert_array_equal(split.examples, which)
            assert split.inputs.dtype == np.uint8
            dealt += which if part == "train" else []
    assert len(dealt) == len(set(dealt)) == 42  # 60% of 70, no digit in two environments


def test_colours_of_the_real_one(real_mnist) -> None:
    """70,000 digits: 14,000 validation and test digits each, shown under every environment."""
    dataset = DATASETS.get("ColoredMNIST").load({"size": 14}, 0)
    for environment, agreement in zip(dataset.environments, (0.9, 0.8, 0.1), strict=True):
        sizes = {part: len(split) for part, split in environment.splits.items()}
        assert sizes == {"train": 14_000, "val": 14_000, "test": 14_000}
        split = environment.splits["test"]
        colours = split.inputs[:, 1].any(axis=(1, 2))
        assert (colours == split.labels).mean() == pytest.approx(agreement, abs=0.015)


def test_domainbeds_examples_have_the_numbers_that_ours_have(files) -> None:
    dataset = DATASETS.get("RotatedMNIST").load({"domainbed": {"seed": 1, "trial_seed": 0}}, 0)
    assert dataset.source == DATASETS.get("ColoredMNIST").load({}, 0).source
    for environment in dataset.environments:
        for split in environment.splits.values():
            turned = rotate(files.images[split.examples], int(environment.name))
            np.testing.assert_array_equal(split.inputs[:, 0], turned)


def test_data_depend_on_the_data_seed_unless_they_are_domainbeds(files) -> None:
    for name in ("ColoredMNIST", "RotatedMNIST"):
        spec = DATASETS.get(name)
        assert spec.load({}, 0).fingerprint == spec.load({}, 0).fingerprint
        assert spec.load({}, 0).fingerprint != spec.load({}, 1).fingerprint
        option = {"domainbed": {"seed": 1, "trial_seed": 0}}
        other = {"domainbed": {"seed": 1, "trial_seed": 1}}
        assert spec.load(option, 0).fingerprint == spec.load(option, 1).fingerprint
        assert spec.load(option, 0).fingerprint != spec.load(other, 0).fingerprint


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 20}, "size must be 28 or 14"),
        ({"size": 14.0}, "size must be 28 or 14"),
        ({"label_noise": -1}, "label_noise"),
        ({"domainbed": True}, "domainbed needs {seed: s, trial_seed: t}"),
        ({"domainbed": {"seed": 0}}, "trial_seed"),
        ({"domainbed": {"seed": 0, "trial_seed": "1"}}, "but got '1'"),
        ({"domainbed": {"seed": -1, "trial_seed": 0}}, "but got -1"),
        ({"domainbed": {"seed": 0, "trial_seed": 0}, "size": 14}, "28 x 28"),
        ({"domainbed": {"seed": 0, "trial_seed": 0}, "label_noise": 0.2}, "label_noise of 0.25"),
    ],
)
def test_bad_options_are_refused(files, options, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        DATASETS.get("ColoredMNIST").load(options, 0)


def test_roles_of_domainbeds_splits(files) -> None:
    """``out`` of a training environment is id_val; a test one has oracle_val and ood_test."""
    option = {"domainbed": {"seed": 0, "trial_seed": 0}}
    dataset = DATASETS.get("ColoredMNIST").load(option, 0)
    tensors = load(dataset, (2,), torch.device("cpu"), torch.float32)
    roles = {(s.environment, s.split, s.role, s.n) for s in tensors.evaluation}
    assert roles == {
        ("+90%", "val", "id_val", 4),
        ("+80%", "val", "id_val", 4),
        ("-90%", "val", "oracle_val", 4),
        ("-90%", "train", "ood_test", 19),
    }
    assert tensors.sizes == (20, 19)  # 24 + 23 + 23 digits, a fifth of each held out


def test_the_recipe_means_96_models(files) -> None:
    planned = api.preview(RECIPE, None)
    assert (planned.studies, planned.runs) == (12, 96)


def test_a_sweep_of_domainbeds_tensors_is_trained_and_scored(files, tmp_path: Path) -> None:
    sweep = {
        "name": "exact",
        "datasets": [
            {
                "name": "RotatedMNIST",
                "test_environments": [0],
                "domainbed": {"seed": 3, "trial_seed": 1},
            }
        ],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": {"name": "mnist_cnn"},
        "search": {"trials": 1},
        "train": {"steps": 2, "batch": {"per_environment": 2}},
    }
    path = tmp_path / "exact.db"
    planned = plan(parse_sweep(sweep))
    with open_database(path, create=True) as db:
        add_sweep(db, planned.spec.name, {}, planned.studies)
    assert work(path, "exact", WorkerSettings(device="cpu")).stored == 1
    (run,) = api.query(path).to_dict("records")
    assert run["status"] == "completed"
    assert run["id"] == run["id_val"]  # DomainBed has no ID test
    assert run["n_ood"] == 10  # 12 upright digits, a fifth of them held out
    assert run["n_id"] == 5 * 2

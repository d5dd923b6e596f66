"""timm's architectures: timm's own numbers, weights that fit, and errors that say what would."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("timm", reason="needs pip install 'oodbench[timm]'")
import timm
from image_helpers import write_tree
from safetensors.torch import save_file
from training_helpers import CPU, NAMES, make_trials

from oodbench.errors import OodbenchError, RequestError
from oodbench.models import MODELS
from oodbench.models.parts import parts
from oodbench.models.timm_models import timm_package
from oodbench.models.timm_names import find, search
from oodbench.optimizers import OPTIMIZERS
from oodbench.sweep import parse_sweep
from oodbench.training.inputs.stored import Inputs
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.loop import Run
from oodbench.verbs.catalogue import catalogue

RANDOM = {"pretrained": False}


def options(name: str, **changes: Any) -> dict[str, Any]:
    return {**MODELS.get(name).defaults, **changes}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this machine for weights; it has none."""
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def saved(path: Path, name: str, seed: int = 0, **how: Any) -> nn.Module:
    """A network of timm with random weights, in eval mode; they are in a file."""
    torch.manual_seed(seed)
    theirs = timm.create_model(name, **how).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # no other numbers than those of the file will do
            nn.init.normal_(module.running_mean, 0.0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in theirs.state_dict().items()}, path)
    return theirs


def features(theirs: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """timm's: of normalised images, before its last layer."""
    about = theirs.pretrained_cfg
    mean, std = (torch.tensor(about[k]).view(3, 1, 1) for k in ("mean", "std"))
    theirs.reset_classifier(0)
    return theirs((images - mean) / std)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("classes", [1000, 7])
def test_features_are_timms_own(weights: Path, name: str, classes: int) -> None:
    theirs = saved(weights / "mine.safetensors", name, num_classes=classes)
    spec = MODELS.get(f"timm.{name}")
    ours = spec.frozen(options(spec.name, train="head", weights="mine.safetensors"))
    images = torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), features(theirs, images))
    assert len(spec.pretrained(options(spec.name, weights="mine.safetensors"))) == 64


@pytest.mark.parametrize("classes", [1000, 9])
def test_the_whole_network_is_timms(weights: Path, classes: int) -> None:
    """Of a thousand classes it is the published one, with its own mean and deviation."""
    theirs = saved(weights / "mine.safetensors", "test_resnet", num_classes=classes)
    spec, images = MODELS.get("timm.test_resnet"), torch.rand(2, 3, 64, 64)
    mean, std = ((0.1,) * 3, (0.2,) * 3) if classes == 9 else ((0.5,) * 3, (0.5,) * 3)
    ours = spec.classifier(weights / "mine.safetensors", (0.1,) * 3, (0.2,) * 3)
    with torch.inference_mode():
        expected = theirs((images - mean[0]) / std[0])
        torch.testing.assert_close(ours(images), expected)


@pytest.mark.parametrize("train", ["all", "head"])
def test_positions_of_a_vit_are_resampled_as_timm_does_for_other_sizes(weights, train) -> None:
    theirs = saved(weights / "mine.safetensors", "test_vit")
    state = theirs.state_dict()
    overlay = {"state_dict": dict(state)}
    resized = timm.create_model(
        "test_vit", pretrained=True, pretrained_cfg_overlay=overlay, img_size=96
    ).eval()
    spec, images = MODELS.get("timm.test_vit"), torch.rand(2, 3, 96, 96)
    asked = options(spec.name, train=train, weights="mine.safetensors")
    ours = spec.frozen(asked) if train == "head" else spec.build((3, 96, 96), 5, **asked).eval()[0]
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), features(resized, images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["test_resnet", "test_vit"])
def test_one_step_is_that_of_a_plain_loop(model: str) -> None:
    """timm's model and loss, torch's backward pass, the optimizer on its parameters."""
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (2 * 6, 3, 32, 32), dtype=np.uint8)
    labels = torch.from_numpy(draws.integers(0, 4, 12))
    data = Tensors(Inputs(torch.from_numpy(images), torch.float64), labels, (6, 6), (), 4, False)
    plainly = [name for name in NAMES if OPTIMIZERS.get(name).evaluations == 1]
    for name in plainly:
        (trial,) = make_trials(1, optimizer=name, steps=1, batch={"per_environment": 3})
        chosen = {**RANDOM, "freeze_bn": False}
        trial = replace(trial, model=f"timm.{model}", model_options=chosen)
        run = Run([trial], data, CPU, stacked=False)
        theirs = timm.create_model(model, num_classes=4, img_size=32 if "vit" in model else None)
        begins = {
            k.removeprefix("body.body.").replace(
                "classifier", theirs.pretrained_cfg["classifier"]
            ): v
            for k, v in run.models.state(0).items()
        }
        theirs.load_state_dict(begins)
        theirs.double().train()
        spec, given = OPTIMIZERS.get(name), list(theirs.parameters())
        if spec.hidden_apart:  # Muon's: see test_parts.py
            module = MODELS.get(trial.model).build((3, 32, 32), 4, **options(trial.model, **RANDOM))
            hidden = [part.hidden for part in parts(module)]
            both = {
                h: [p for p, own in zip(given, hidden, strict=True) if own == h] for h in (1, 0)
            }
            given = [{"params": own, "hidden": bool(h)} for h, own in both.items()]
        optimizer = spec(given, trial.hparams)
        chosen_images = run.batches.at(0).flatten()
        mean, std = (
            torch.tensor(theirs.pretrained_cfg[k]).double().view(3, 1, 1) for k in ("mean", "std")
        )
        x = (torch.from_numpy(images)[chosen_images].double() / 255 - mean) / std
        nn.functional.cross_entropy(theirs(x), labels[chosen_images]).backward()
        optimizer.step()
        run.step(0)
        for (k, value), expected in zip(
            run.models.state(0).items(), theirs.state_dict().values(), strict=True
        ):
            assert (value - expected).abs().max() < 1e-6, (name, k)


def test_only_the_part_that_is_named_is_trained() -> None:
    spec = MODELS.get("timm.test_vit")
    module = spec.build((3, 32, 32), 4, **options(spec.name, train="partial", **RANDOM))
    module(torch.rand(2, 3, 32, 32)).sum().backward()
    trained = {name for name, p in module.named_parameters() if p.grad is not None}
    attention = {name for name, _ in module.named_parameters() if ".attn." in name}
    assert attention
    assert trained == attention | {"classifier.weight", "classifier.bias"}


def test_paths_are_dropped_in_training_alone() -> None:
    spec = MODELS.get("timm.test_vit")
    module = spec.build((3, 32, 32), 4, **options(spec.name, drop_path=0.5, **RANDOM)).train()
    x = torch.rand(1, 3, 32, 32)
    assert not torch.equal(module(x), module(x))
    assert torch.equal(module.eval()(x), module(x))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("timm.resnet5", r"no model 'resnet5'\. Did you mean resnet50 or"),
        ("timm.resnet50.ram", r"no weights 'ram' of resnet50\. It has a1_in1k"),
        ("tim.resnet50", r"Did you mean .*Allowed: .*timm\.NAME"),
    ],
)
def test_names_that_do_not_exist(name: str, told: str) -> None:
    with pytest.raises(OodbenchError, match=told):
        MODELS.get(name)


def test_without_timm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    for known in (timm_package, find):
        known.cache_clear()
    with pytest.raises(RequestError, match=r"pip install 'oodbench\[timm\]'"):
        MODELS.get("timm.resnet50")
    timm_package.cache_clear()
    assert search("resnet") == []
    timm_package.cache_clear()


def sweep(model: dict[str, Any], **dataset: Any) -> dict[str, Any]:
    return {
        "name": "x",
        "datasets": [{"name": "PACS", "test_environments": [0], **dataset}],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": model,
        "search": {"trials": 1},
        "train": {"steps": 1, "batch": {"per_environment": 2}},
    }


def test_images_are_as_the_model_was_trained_unless_the_file_says_otherwise() -> None:
    """timm's configuration of DINOv2: 518 pixels, bicubic; of MobileCLIP-like test_resnet: 160."""
    dinov2 = {"name": "timm.vit_small_patch14_dinov2.lvd142m", "train": "head"}
    plain = parse_sweep(sweep(dinov2)).datasets[0].options
    assert plain == {"size": 518, "interpolation": "bicubic"}
    assert parse_sweep(sweep(dinov2, size=224)).datasets[0].options["size"] == 224
    both = parse_sweep(sweep({"name": "timm.test_resnet"})).datasets[0].options
    assert both == {"size": 160, "interpolation": "bilinear"}
    assert parse_sweep(sweep({"name": "resnet18"})).datasets[0].options == {}


@pytest.mark.parametrize(
    ("model", "dataset", "told"),
    [
        ({"name": "timm.test_vit"}, {"size": 100}, "no images of 100 pixels .*write size: 160"),
        (
            {"name": "timm.test_vit", "train": "head"},
            {"size": 100},
            "no images of 100 pixels .*divisible by patch size",
        ),
        (
            {"name": "timm.vit_tiny_patch16_224"},
            {"size": 100},
            "no images of 100 pixels .*divisible by patch size",
        ),
        ({"name": "timm.swin_tiny_patch4_window7_224"}, {"size": 98}, "divisible by patch size 4"),
        ({"name": "vit_b_16"}, {"size": 96}, "vit_b_16 takes no images of 96 .*write size: 224"),
        ({"name": "vit_b_16", "train": "head"}, {"size": 96}, "takes no images of 96 pixels"),
        ({"name": "densenet121"}, {"size": 16}, "takes no images of 16 pixels .*too small"),
        ({"name": "timm.test_vit", "drop_path": 1.0}, {}, "drop_path must be below 1"),
        ({"name": "resnet18", "dropout": 1.5}, {}, "dropout must be below 1, but got 1.5"),
        ({"name": "resnet18", "dropout": -0.5}, {}, "dropout must be 0 or above"),
        ({"name": "timm.vgg11", "drop_path": 0.1}, {}, "vgg11 has no drop_path: leave it out"),
        ({"name": "timm.resnet18", "train": "partial"}, {}, "partial: attn is found in no name"),
        ({"name": "resnet18", "train": "partial", "partial": "("}, {}, "no regular expression"),
        ({"name": "timm.resnet5"}, {}, "Did you mean resnet50"),
    ],
)
def test_what_does_not_fit_is_told_when_the_file_is_read(model, dataset, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        parse_sweep(sweep(model, **dataset))


def test_a_model_without_features_of_whole_images_is_refused() -> None:
    if not timm.is_model("qwen3_vit_88m_enc"):
        pytest.skip("needs a newer timm")
    with pytest.raises(RequestError, match=r"parts of an image, not of the whole: \(576, 1024\)"):
        parse_sweep(sweep({"name": "timm.qwen3_vit_88m_enc"}))


@pytest.mark.parametrize("name", ["timm.test_vit", "resnet18"])
def test_weights_of_another_architecture_are_refused(weights: Path, name: str) -> None:
    saved(weights / "other.safetensors", "test_convnext")
    spec = MODELS.get(name)
    told = rf"other.safetensors does not fit {name}: .*in state"
    with pytest.raises(RequestError, match=told):
        spec.pretrained(options(name, weights="other.safetensors"))
    with pytest.raises(RequestError, match=told):
        parse_sweep(sweep({"name": name, "weights": "other.safetensors"}))


def test_own_weights_are_named_without_a_folder_of_the_machine(weights: Path) -> None:
    spec = MODELS.get("timm.test_vit")
    for named, told in (
        ("nowhere.safetensors", f"OODBENCH_WEIGHTS names the folders of such files: {weights}"),
        (str(weights / "x.pth"), "write weights: x.pth, and name"),
    ):
        with pytest.raises(RequestError, match=told):
            spec.pretrained(options(spec.name, weights=named))
    with pytest.raises(RequestError, match="goes with pretrained: true"):
        spec.pretrained(options(spec.name, weights="x.pth", **RANDOM))


def test_a_training_state_has_its_weights_inside(weights: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", num_classes=3).eval()
    torch.save({"epoch": 3, "state_dict": theirs.state_dict()}, weights / "run.pth")
    spec, images = MODELS.get("timm.test_resnet"), torch.rand(1, 3, 64, 64)
    ours = spec.frozen(options(spec.name, train="head", weights="run.pth"))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), features(theirs, images))


def test_missing_weights_are_told_with_the_command_that_gets_them(weights: Path) -> None:
    spec = MODELS.get("timm.resnet50.ram_in1k")
    with pytest.raises(RequestError, match=r"oodbench fetch model timm\.resnet50\.ram_in1k gets"):
        spec.pretrained(options(spec.name))
    nobodys = MODELS.get("timm.botnet50ts_256")
    with pytest.raises(RequestError, match="has no published weights: say pretrained: false"):
        nobodys.pretrained(options(nobodys.name))


def test_the_hubs_files_are_found_where_its_own_program_puts_them(weights: Path) -> None:
    cache = weights.parent / "hf/hub/models--timm--test_vit.r160_in1k"
    theirs = saved(cache / "snapshots/abc/model.safetensors", "test_vit")
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("abc")
    spec, images = MODELS.get("timm.test_vit"), torch.rand(1, 3, 160, 160)
    ours = spec.frozen(options(spec.name, train="head"))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), features(theirs, images))


def test_heads_on_its_features_are_trained_in_stacks_and_loaded_whole(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole sweep: the published file's place, images at another size than its own, 12 heads."""
    import oodbench
    from oodbench.results import add_sweep, open_database
    from oodbench.sweep.plan import plan
    from oodbench.workers.worker import work
    from oodbench.workers.worker_settings import WorkerSettings

    saved(weights / "timm/test_vit.r160_in1k/model.safetensors", "test_vit")
    write_tree(tmp_path / "data" / "tiny", "abc", ("cat", "dog"), 10)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    asked = sweep({"name": "timm.test_vit", "train": "head"}, name="ImageFolders", folder="tiny")
    asked["datasets"][0]["size"] = 32
    asked |= {"optimizers": ["sgd", "adam"], "search": {"trials": 6}, "keep_weights": "last"}
    db, planned = tmp_path / "x.db", plan(asked)
    assert planned.studies[0].definition["dataset_options"] == {
        "folder": "tiny",
        "size": 32,
        "interpolation": "bicubic",
    }
    with open_database(db, create=True) as opened:
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        add_sweep(opened, "x", spec, planned.studies)
    work(db, "x", WorkerSettings(device="cpu", stack=12))
    runs = oodbench.query(db)
    assert runs["status"].tolist() == ["completed"] * 12
    shown = oodbench.show(db, runs["run"][0])
    assert shown.provenance["stacked"]
    assert len(shown.trial.pretrained) == 64
    whole = oodbench.load_model(db, runs["run"][0])
    assert whole(torch.rand(2, 3, 32, 32)).shape == (2, 2)


def test_the_catalogue_names_the_weights_of_our_own_backbones() -> None:
    one = catalogue("models", "resnet50").iloc[0]
    assert one["weights"] == "resnet50-0676ba61.pth"
    assert one["fetch"] == "oodbench fetch model resnet50"
    assert one["mean and deviation"] == "0.485 0.456 0.406 0.229 0.224 0.225"


@pytest.mark.parametrize("name", ["timm.test_vit", "timm.test_resnet.r160_in1k"])
def test_the_catalogue_tells_all_of_one(name: str) -> None:
    one = catalogue("models", name).iloc[0]
    assert one["name"] == name
    assert one["images"].startswith("160 pixels")
    assert one["weights"] == "r160_in1k"


def test_a_part_of_a_name_lists_models_of_ours_and_of_timm() -> None:
    found = set(catalogue("models", "resnet5")["name"])
    assert {"resnet50", "timm.resnet50", "timm.resnet51q"} <= found
    assert "timm.vit_base_patch16_224" not in found
    tagged = set(catalogue("models", "ram_in1k")["name"])
    assert "timm.resnet50.ram_in1k" in tagged
    assert "timm.NAME" in set(catalogue("models")["name"])
    assert len(catalogue("models")) < 20


@pytest.mark.slow
def test_every_kind_of_architecture_is_made(weights: Path) -> None:
    """Without numbers: of each of timm's files, the first that it lists."""
    kinds: dict[str, str] = {}
    for name in timm.list_models():
        kinds.setdefault(timm.models.model_entrypoint(name).__module__, name)
    refused = {}
    for name in kinds.values():
        spec = MODELS.get(f"timm.{name}")
        try:
            spec.fits(options(spec.name), None)
        except RequestError as error:
            refused[name] = str(error)
    assert len(kinds) > 60
    parts_alone = {n for n, told in refused.items() if "features of parts of an image" in told}
    assert set(refused) == parts_alone
    assert len(parts_alone) < 3

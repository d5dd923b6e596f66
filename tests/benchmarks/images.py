"""Images a second and core: PIL with DomainBed's transforms, against our cache and augmentation.

Both make batches of normalised 224-pixel images of the same JPEG files in turn, on one core; the
best of some rounds counts, in seconds of processor time. The last row is a training step of a
ResNet-18 by a worker, which has one core: what share of it goes into its images.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from oodbench.data import DATASETS
from oodbench.sweep.plan import plan
from oodbench.training import Tensors, load
from oodbench.training.inputs.augmentation import training_inputs
from oodbench.training.inputs.batches import Batches
from oodbench.training.loop import Run

CPU, ROUNDS = torch.device("cpu"), 5
ENVIRONMENTS, CLASSES, EACH, PIXELS, QUALITY = "abcd", ("china", "flower"), 24, 227, 90
"""A folder of parts of scikit-learn's two photographs, of the size of PACS's images."""
BATCH = 32
"""DomainBed's, of each environment."""
STEPS, STEP_BATCH = 3, 8


def measure() -> Iterator[dict[str, object]]:
    """A row for each way to make a batch, and one for a training step."""
    with photographs() as (folder, data):
        torch.set_num_threads(1)
        yield from of_batches(sorted(folder.rglob("*.jpg")), data)
        yield of_a_step(data)


@contextmanager
def photographs() -> Iterator[tuple[Path, Tensors]]:
    """The folder of images, and the tensors that are trained on, augmented as DomainBed does."""
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder) / "data" / "photographs")
        os.environ |= {"OODBENCH_DATA": f"{folder}/data", "OODBENCH_CACHE": f"{folder}/cache"}
        options = {"folder": "photographs", "augment": "domainbed"}
        dataset = DATASETS.get("ImageFolders").load(options, 0)
        yield Path(folder, "data"), load(dataset, (0,), CPU, torch.float32)


def write_photographs(root: Path) -> None:
    """``root/environment/class/image.jpg``."""
    from sklearn.datasets import load_sample_image

    draws = np.random.default_rng(0)
    for kind in CLASSES:
        photograph = Image.fromarray(load_sample_image(f"{kind}.jpg"))  # 640 x 427
        for environment in ENVIRONMENTS:
            (root / environment / kind).mkdir(parents=True)
            for number in range(EACH):
                x, y = draws.integers([640 - PIXELS, 427 - PIXELS])
                part = photograph.crop((x, y, x + PIXELS, y + PIXELS))
                part.save(root / environment / kind / f"{number}.jpg", quality=QUALITY)


def of_batches(files: list[Path], data: Tensors) -> Iterator[dict[str, object]]:
    """PIL in torch's ``DataLoader``, as DomainBed has it but without worker processes, and ours."""
    batches = Batches(data.sizes, {"per_environment": BATCH}, [0], CPU)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in NORMALISE)
    augmented = training_inputs(data.inputs, data.augment, [0])
    plain = training_inputs(data.inputs, "", [0])
    loader = iter(pil_loader(files))
    ways: dict[str, Callable[[int], object]] = {
        "PIL DataLoader, DomainBed's transforms": lambda step: next(loader),
        "cache, augmented": lambda step: augmented(batches.at(step), step).sub_(mean).div_(std),
        "cache, not augmented": lambda step: plain(batches.at(step), step).sub_(mean).div_(std),
    }
    images = BATCH * len(data.sizes)
    best = dict.fromkeys(ways, float("inf"))
    for step in range(ROUNDS + 1):
        for name, make in ways.items():
            start = time.process_time()
            made = make(step)
            if step:  # the first touches memory and starts iterators
                best[name] = min(best[name], time.process_time() - start)
            del made
    usual = next(iter(best.values()))
    for name, seconds in best.items():
        rate = round(images / seconds)
        yield {"what": name, "images/s and core": rate, "times PIL": round(usual / seconds, 1)}


NORMALISE = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def pil_loader(files: list[Path]) -> "torch.utils.data.DataLoader[torch.Tensor]":
    """Batches of as many images as a step has, drawn with replacement, without end."""
    from torchvision import transforms

    change = transforms.Compose(
        [
            transforms.RandomResizedCrop(224, scale=(0.7, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.3, 0.3, 0.3, 0.3),
            transforms.RandomGrayscale(),
            transforms.ToTensor(),
            transforms.Normalize(*NORMALISE),
        ]
    )

    class Files(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(files[index]) as image:
                made: torch.Tensor = change(image.convert("RGB"))
            return made

    draws = torch.utils.data.RandomSampler(Files(), replacement=True, num_samples=10**6)
    return torch.utils.data.DataLoader(
        Files(), batch_size=BATCH * (len(ENVIRONMENTS) - 1), sampler=draws
    )


def of_a_step(data: Tensors) -> dict[str, object]:
    """A ResNet-18 with random weights, all of it trained; the fastest of some steps."""
    sweep = {
        "name": "bench",
        "datasets": [{"name": "ImageFolders", "folder": "photographs", "test_environments": [0]}],
        "algorithms": ["erm"],
        "optimizers": ["adam"],
        "model": {"name": "resnet18", "pretrained": False},
        "search": {"trials": 1},
        "train": {"steps": STEPS, "batch": {"per_environment": STEP_BATCH}},
    }
    trial = plan(sweep).studies[0].trials[0]
    run = Run([trial], replace(data, evaluation=()), CPU, stacked=False)
    found = []
    for step in range(STEPS):
        start = time.process_time()
        run.loading.at(step, run.batches.at)
        middle = time.process_time()
        run.step(step)
        found.append((time.process_time() - middle, middle - start))
    whole, images = map(min, zip(*found, strict=True))
    return {
        "what": f"training step of ResNet-18, {STEP_BATCH * len(data.sizes)} images",
        "seconds": round(whole, 2),
        "of them for images": f"{images / whole:.1%}",
    }

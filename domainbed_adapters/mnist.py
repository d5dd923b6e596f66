"""ColoredMNIST and RotatedMNIST: DomainBed's two, on MNIST's 70,000 digits.

Without the option ``domainbed`` they are split as our own datasets are: see ``dealing``. With
``domainbed: {seed: s, trial_seed: t}`` they are the tensors and splits that DomainBed builds for
``--seed s --trial_seed t``, whatever the data seed: an environment's ``in`` split is its ``train``
part, ``out`` is ``val``, and there is no ``test`` part. So the ID accuracy is that on ``out``, and
a test environment's OOD accuracy that on ``in``, as DomainBed reports them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from domainbed_adapters import dealing, fetching, mnist_files
from domainbed_adapters.dealing import ANGLES, COLOURS, Images, Indices, Labels, deal
from domainbed_adapters.domainbed import Draws, Seeds, in_out
from domainbed_adapters.rotations import rotated_mnist
from oodbench.data import Dataset, DatasetSpec, Environment, Source, Split
from oodbench.errors import RequestError

SOURCE = Source("MNIST", mnist_files.FOLDER, mnist_files.read_all, fetching.fetch_mnist)
EXAMPLES = "mnist"
"""The source of both datasets' examples: their numbers are rows of its files, training first."""
SIZE = 28
"""Height and width of MNIST's images."""
LABEL_NOISE = 0.25
FLIPS = (0.1, 0.2, 0.9)
"""DomainBed's: how often the colour of each environment disagrees with the noisy label."""
Show = Callable[[int, Indices], tuple[Images, Labels]]
"""(environment, which digits) -> the inputs and labels as that environment shows them."""


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options of the dataset ``name`` are what they must be."""
    size, noise, domainbed = options["size"], options.get("label_noise"), options["domainbed"]
    if size not in (SIZE, SIZE // 2) or type(size) is not int:
        raise RequestError(f"{name}: size must be 28 or 14, not {size!r}.")
    if domainbed is not None and size != SIZE:
        raise RequestError(f"{name}: domainbed has 28 x 28 images; leave out size or domainbed.")
    if "label_noise" in options:
        dealing.check_noise(name, noise)
    if domainbed is not None:
        Seeds.from_option(name, domainbed)
        if noise not in (None, LABEL_NOISE):
            raise RequestError(f"{name}: domainbed has a label_noise of {LABEL_NOISE}; leave it.")


def shrink(images: Images, size: int) -> Images:
    """(n, 28, 28) images, or every second pixel of them, as in the code of the IRM paper."""
    step = SIZE // size
    return images[:, ::step, ::step]


def as_domainbed(
    name: str, names: tuple[str, ...], classes: int, order: Indices, show: Show, trial_seed: int
) -> Dataset:
    """Deal the digits among the environments and split each, as DomainBed does.

    Args:
        name: Name of the dataset.
        names: Names of the environments.
        classes: Size of the label set.
        order: Order of all digits: environment i of m has every m-th, from the i-th on.
        show: Called once for each environment, in order.
        trial_seed: DomainBed's ``--trial_seed``.
    """
    environments = []
    for i, environment in enumerate(names):
        mine = order[i :: len(names)]
        inputs, labels = show(i, mine)
        in_, out = in_out(len(labels), trial_seed, i)
        splits = {
            part: Split(inputs[rows], labels[rows], examples=mine[rows])
            for part, rows in (("train", in_), ("val", out))
        }
        environments.append(Environment(environment, splits))
    return Dataset(name, tuple(environments), classes, source=EXAMPLES)


def build_colored(data_seed: int, size: int, label_noise: float, domainbed: Any) -> Dataset:
    """(2, size, size) images, label digit < 5."""
    name = "ColoredMNIST"
    if domainbed is not None:
        return colored_as_domainbed(Seeds.from_option(name, domainbed))
    digits = mnist_files.read(SOURCE.find())
    images = shrink(digits.images, size)
    return dealing.deal_colours(name, EXAMPLES, images, digits.labels, label_noise, data_seed)


def colored_as_domainbed(seeds: Seeds) -> Dataset:
    """DomainBed's own ColoredMNIST, to the bit."""
    digits, draws = mnist_files.read(SOURCE.find()), Draws(seeds.seed)

    def show(environment: int, which: Indices) -> tuple[Images, Labels]:
        labels = (digits.labels[which] < 5) ^ draws.bernoulli(LABEL_NOISE, len(which))
        colours = labels ^ draws.bernoulli(FLIPS[environment], len(which))
        return dealing.paint(digits.images[which], colours), labels.astype(np.int64)

    order = draws.order(len(digits.labels))
    return as_domainbed("ColoredMNIST", tuple(COLOURS), 2, order, show, seeds.trial_seed)


def build_rotated(data_seed: int, size: int, domainbed: Any) -> Dataset:
    """(1, size, size) images, ten classes."""
    name, names = "RotatedMNIST", tuple(map(str, ANGLES))
    seeds = None if domainbed is None else Seeds.from_option(name, domainbed)
    digits = mnist_files.read(SOURCE.find())
    turned = [shrink(rotated_mnist(digits, angle), size) for angle in ANGLES]

    def show(environment: int, which: Indices) -> tuple[Images, Labels]:
        return turned[environment][which, None], digits.labels[which]

    if seeds is None:
        count = len(digits.labels)
        return deal(
            name, EXAMPLES, names, 10, count, lambda i, which, generator: show(i, which), data_seed
        )
    order = Draws(seeds.seed).order(len(digits.labels))
    return as_domainbed(name, names, 10, order, show, seeds.trial_seed)


ABOUT: dict[str, Any] = {
    "layout": f"{mnist_files.FOLDER}/{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte, plain or "
    ".gz, under a data folder, as torchvision has them; see oodbench fetch.",
    "licence": "MNIST is distributed without a licence of its own; its authors are Y. LeCun, "
    "C. Cortes and C. Burges.",
    "source": SOURCE,
}

REGISTER = [
    DatasetSpec(
        "ColoredMNIST",
        tuple(COLOURS),
        2,
        build_colored,
        options={"size": SIZE, "label_noise": LABEL_NOISE, "domainbed": None},
        check=partial(check_options, "ColoredMNIST"),
        examples=70000,
        citation="Arjovsky et al. 2019 (Invariant Risk Minimization); Gulrajani & Lopez-Paz 2021 "
        "(DomainBed); LeCun et al. 1998.",
        **dealing.COLOURED,
        **ABOUT,
    ),
    DatasetSpec(
        "RotatedMNIST",
        tuple(map(str, ANGLES)),
        10,
        build_rotated,
        options={"size": SIZE, "domainbed": None},
        check=partial(check_options, "RotatedMNIST"),
        examples=70000,
        citation="Ghifary et al. 2015; Gulrajani & Lopez-Paz 2021 (DomainBed); LeCun et al. 1998.",
        **dealing.ROTATED,
        **ABOUT,
    ),
]

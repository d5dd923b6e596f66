"""What is known of the test sets in published tables: their sizes, and how they are scored."""

from dataclasses import dataclass

ACCURACY = "accuracy"


@dataclass(frozen=True)
class Benchmark:
    """A test set that models are scored on.

    Attributes:
        n: Examples; 0: not known.
        num_classes: Among which models choose; 0: not known.
        metric: What the table has of it.
        chosen_by: Whether the models were chosen by their scores on it.
    """

    n: int = 0
    num_classes: int = 0
    metric: str = ACCURACY
    chosen_by: bool = False


TIMM = {
    "imagenet": Benchmark(50_000, 1000, chosen_by=True),
    "imagenet-real": Benchmark(46_837, 1000, chosen_by=True),
    "imagenetv2-matched-frequency": Benchmark(10_000, 1000),
    "sketch": Benchmark(50_889, 1000),
    "imagenet-a": Benchmark(7_500, 200),
    "imagenet-a-clean": Benchmark(10_000, 200, chosen_by=True),
    "imagenet-r": Benchmark(30_000, 200),
    "imagenet-r-clean": Benchmark(10_000, 200, chosen_by=True),
}
"""Test sets of huggingface/pytorch-image-models at aa4b585, whose README says that models were
selected by ImageNet's validation images: those of ``imagenet``, with other labels of
``imagenet-real`` (Beyer et al. 2020), and the classes of ImageNet-A and -R in the two ``clean``
ones."""

RECALL = "mean recall over classes"
RETRIEVED = "recall at 1 of texts and images"

OPEN_CLIP = {
    "Caltech-101": Benchmark(6_085, 102, RECALL),
    "CIFAR-10": Benchmark(10_000, 10),
    "CIFAR-100": Benchmark(10_000, 100),
    "CLEVR Counts": Benchmark(15_000, 8),
    "CLEVR Distance": Benchmark(15_000, 6),
    "Country211": Benchmark(21_100, 211),
    "Describable Textures": Benchmark(1_880, 47),
    "EuroSAT": Benchmark(5_400, 10),
    "FGVC Aircraft": Benchmark(3_333, 100, RECALL),
    "Food-101": Benchmark(25_250, 101),
    "GTSRB": Benchmark(12_630, 43),
    "ImageNet 1k": Benchmark(50_000, 1000),
    "ImageNet Sketch": Benchmark(50_889, 1000),
    "ImageNet v2": Benchmark(10_000, 1000),
    "ImageNet-A": Benchmark(7_500, 200),
    "ImageNet-O": Benchmark(2_000, 200),
    "ImageNet-R": Benchmark(30_000, 200),
    "KITTI Vehicle Distance": Benchmark(711, 4),
    "MNIST": Benchmark(10_000, 10),
    "ObjectNet": Benchmark(18_574, 113),
    "Oxford Flowers-102": Benchmark(6_149, 102, RECALL),
    "Oxford-IIIT Pet": Benchmark(3_669, 37, RECALL),
    "Pascal VOC 2007": Benchmark(14_976, 20),
    "PatchCamelyon": Benchmark(32_768, 2),
    "Rendered SST2": Benchmark(1_821, 2),
    "RESISC45": Benchmark(6_300, 45),
    "Stanford Cars": Benchmark(8_041, 196),
    "STL-10": Benchmark(8_000, 10),
    "SUN397": Benchmark(108_754, 397),
    "SVHN": Benchmark(26_032, 10),
    "Flickr": Benchmark(metric=RETRIEVED),
    "MSCOCO": Benchmark(metric=RETRIEVED),
    "WinoGAViL": Benchmark(metric="a Jaccard index"),
    "iWildCam": Benchmark(42_791, 182, "a macro F1 score"),
    "Camelyon17": Benchmark(85_054, 2),
    "FMoW": Benchmark(22_108, 62, "accuracy in the worst region"),
    "Dollar Street": Benchmark(3_503, 58, "top-5 accuracy in the worst income group"),
    "GeoDE": Benchmark(12_488, 40, "accuracy in the worst region"),
}
"""Test sets as in mlfoundations/datacomp at 2d7bde7 (``tasklist.yml``), whose evaluation
open_clip's tables are of."""

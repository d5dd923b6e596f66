"""The image datasets of WILDS that are classifications, with their published splits."""

from typing import Any

from domainbed_adapters.duplicates import same_files
from domainbed_adapters.image_cache import digests_of
from domainbed_adapters.table_duplicates import report_published
from domainbed_adapters.table_inputs import IMAGE_OPTIONS, images_of, tree_of
from domainbed_adapters.tables import Grouping, assemble
from domainbed_adapters.wilds_checks import Sheet
from domainbed_adapters.wilds_release import ID_AND_OOD, SAME, Release, is_required
from oodbench.data import Dataset, DatasetSpec


def build(
    release: Release,
    data_seed: int,
    size: int,
    corrupt: Any,
    max_pixels: Any,
    environments: str,
    release_file: str,
) -> Dataset:
    """One dataset; nothing in it is drawn at random, so the data seed changes nothing."""
    table = release.table(is_required(release.name, release_file))
    fields = release.fields(environments)
    table.combined(fields)  # refuses a field that is none before an hour of decoding
    pixels, table, content = images_of(table, size, corrupt, max_pixels)
    digests = digests_of(table.name, tree_of(table), corrupt, max_pixels)
    report_published(table, "image", same_files(digests))
    return assemble(table, pixels, content, fields, release.roles, release.grouping, release.worst)


WITHOUT_ID_VAL = {"id_test": "id_test", "val": "ood_val", "test": "ood_test"}

CAMELYON17 = Release(
    "Camelyon17",
    "camelyon17",
    "1.0",
    (
        Sheet(
            "metadata.csv",
            ("patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"),
            between={"tumor": (0, 1), "center": (0, 4)},
        ),
    ),
    ("hospital",),
    Grouping(("slide",), metrics=("acc_avg",)),
    2,
    roles={"id_val": "id_val", "val": "ood_val", "test": "ood_test"},
)

IWILDCAM = Release(
    "iWildCam",
    "iwildcam",
    "2.0",
    (
        Sheet(
            "metadata.csv",
            ("split", "location_remapped", "sequence_remapped", "y", "datetime", "filename"),
            between={"y": (0, 10_000)},
            among={"split": ("train", *ID_AND_OOD)},
        ),
    ),
    ("location",),
    Grouping(("location",), metrics=("F1-macro_all",)),
    182,
    items=lambda found: [f"train/{name}" for name in found._input_array],
)

FMOW = Release(
    "FMoW",
    "fmow",
    "1.1",
    (
        Sheet(
            "rgb_metadata.csv",
            ("split", "category", "timestamp", "country_code"),
            among={"split": ("train", "val", "test", "seq")},
        ),
        Sheet("country_code_mapping.csv", ("alpha-3", "region"), may_be_empty=("region",)),
    ),
    ("year",),
    Grouping(("region",), ignored=("Other",), metrics=("acc_worst_region",)),
    62,
    items=lambda found: [f"images/rgb_img_{row}.png" for row in found.full_idxs],
    classes=("category", "categories"),
)

RXRX1 = Release(
    "RxRx1",
    "rxrx1",
    "1.0",
    (
        Sheet(
            "metadata.csv",
            ("cell_type", "dataset", "experiment", "plate", "well", "site", "sirna_id"),
            between={"sirna_id": (0, 10_000), "site": (1, 2)},
            among={"dataset": ("train", "val", "test")},
        ),
    ),
    ("experiment",),
    Grouping(("cell_type",), metrics=("acc_avg",)),
    1139,
    roles=WITHOUT_ID_VAL,
)

WATERBIRDS = Release(
    "Waterbirds",
    "waterbirds",
    "1.0",
    (
        Sheet(
            "metadata.csv",
            ("img_filename", "y", "split", "place"),
            between={"y": (0, 1), "split": (0, 2), "place": (0, 1)},
        ),
    ),
    ("background",),
    Grouping(("background", "y"), metrics=("acc_wg", "adj_acc_avg")),
    2,
    ("background", "y"),
    SAME,
)

CELEBA = Release(
    "CelebA",
    "celebA",
    "1.0",
    (
        Sheet(
            "list_attr_celeba.csv",
            ("image_id", "Blond_Hair", "Male"),
            among={"Blond_Hair": ("-1", "1"), "Male": ("-1", "1")},
        ),
        Sheet("list_eval_partition.csv", ("partition",), between={"partition": (0, 2)}),
    ),
    ("male",),
    Grouping(("male", "y"), metrics=("acc_wg",)),
    2,
    ("male", "y"),
    SAME,
    lambda found: [f"img_align_celeba/{name}" for name in found._input_array],
    aligned=True,
)

DOMAINNET = Release(
    "WILDSDomainNet",
    "domainnet",
    "1.0",
    (
        Sheet(
            "metadata.csv",
            ("image_path", "domain", "split", "category", "y"),
            between={"y": (0, 344)},
            among={"split": ("train", "test")},
        ),
    ),
    ("domain",),
    Grouping(("category",), metrics=("acc_avg",)),
    345,
    ("category",),
    WITHOUT_ID_VAL,
    lambda found: found._input_image_paths,
    classes=("category", "DOMAIN_NET_CATEGORIES"),
)

WILDS = "Koh et al. 2021 (WILDS)"
NOT_SUPPORTED = {
    "PovertyMap": "it is a regression (Pearson's r, worst of urban and rural), on images of eight "
    "channels",
    "Py150": "it predicts the next token of code, so examples have no labels; its tokenizer and "
    "model are to be downloaded",
    "BDD100K": "its images have nine labels each",
    "Yelp": "its owner's terms forbid redistribution, and WILDS found its shift to be weak",
    "GlobalWheat": "it is a detection, with other models and losses",
    "OGB-MolPCBA": "its examples are graphs, of which some labels are missing",
    "SQF": "its examples are rows of numbers, scored by precision at a global recall",
    "Encode": "it labels every place of a genome's sequence",
}
"""The datasets of WILDS that are not here, and why."""


def spec(release: Release, size: int, **about: Any) -> DatasetSpec:
    """The dataset of a release, its images at this size unless another is asked for."""
    return release.spec(build, {**IMAGE_OPTIONS, "size": size}, **about)


REGISTER = [
    spec(
        CAMELYON17,
        96,
        shift="diversity",
        summary="Tumor or not in patches of lymph nodes from five hospitals, two of them unseen.",
        layout="camelyon17_v1.0/{metadata.csv, patches/} under a data folder.",
        licence="CC0.",
        citation=f"Bandi et al. 2018 (CAMELYON17); {WILDS}.",
    ),
    spec(
        IWILDCAM,
        448,
        summary="Animals before camera traps; cameras at places that are unseen.",
        layout="iwildcam_v2.0/{metadata.csv, train/} under a data folder.",
        licence="Community Data License Agreement, permissive variant, 1.0.",
        citation=f"Beery et al. 2020 (iWildCam 2020); {WILDS}.",
    ),
    spec(
        FMOW,
        224,
        summary="62 uses of land and buildings from satellites; years to come, worst region.",
        layout="fmow_v1.1/{rgb_metadata.csv, country_code_mapping.csv, images/} under a data "
        "folder.",
        licence="Functional Map of the World Challenge Public License.",
        citation=f"Christie et al. 2018 (Functional Map of the World); {WILDS}.",
    ),
    spec(
        RXRX1,
        256,
        summary="1,139 genetic treatments of cells under a microscope; experiments to come.",
        layout="rxrx1_v1.0/{metadata.csv, images/} under a data folder.",
        licence="CC BY-NC-SA 4.0.",
        citation=f"Taylor et al. 2019 (RxRx1); {WILDS}.",
    ),
    spec(
        WATERBIRDS,
        224,
        summary="Land or water bird, before a background that mostly agrees; worst group.",
        layout="waterbirds_v1.0/{metadata.csv, IMAGES} under a data folder.",
        licence="For non-commercial research and education.",
        citation=f"Sagawa et al. 2020 (Group DRO); {WILDS}.",
    ),
    spec(
        CELEBA,
        224,
        summary="Blond or not, where few blond people are men; worst group.",
        layout="celebA_v1.0/{list_attr_celeba.csv, list_eval_partition.csv, img_align_celeba/} "
        "under a data folder.",
        licence="For non-commercial research.",
        citation=f"Liu et al. 2015 (CelebA); Sagawa et al. 2020; {WILDS}.",
    ),
    spec(
        DOMAINNET,
        224,
        summary="345 classes, trained on sketches, tested on photographs; not DomainBed's split.",
        layout="domainnet_v1.0/{metadata.csv, DOMAIN/} under a data folder.",
        licence="For non-commercial research and education.",
        citation=f"Peng et al. 2019 (Moment Matching); Sagawa et al. 2022 (WILDS 2.0); {WILDS}.",
    ),
]

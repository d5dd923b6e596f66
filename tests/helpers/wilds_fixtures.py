"""Small folders laid out as WILDS' releases are; a label shows in an image's brightness or words.

Rows and images are drawn from a seed and belong to nobody.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

Rng = np.random.Generator
SIDE = 16
IDENTITIES = (
    *("male", "female", "LGBTQ", "christian"),
    *("muslim", "other_religions", "black", "white"),
)
AUXILIARY = (
    *("identity_any", "severe_toxicity", "obscene", "threat"),
    *("insult", "identity_attack", "sexual_explicit"),
)
FRIENDLY, RUDE, OTHER = (
    text.split()
    for text in (
        "thanks agree good honest helpful kind fair",
        "idiot trash stupid awful hate liar garbage",
        "the city law of tax school was on people with",
    )
)


def folder(root: Path, name: str, version: str) -> Path:
    path = root / f"{name}_v{version}"
    path.mkdir(parents=True, exist_ok=True)
    (path / f"RELEASE_v{version}.txt").write_text("")
    return path


def write(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    quoting: Literal[0, 2] = csv.QUOTE_MINIMAL,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, quoting=quoting)
        out.writerow(header)
        out.writerows(rows)


def image(path: Path, rng: Rng, level: float) -> None:
    """Noise around a brightness that tells the label, from 0 to 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.normal(40 + 170 * level, 25, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def text(rng: Rng, level: float) -> str:
    """Twelve words, rude with this probability."""
    pool = RUDE if rng.random() < level else FRIENDLY
    return " ".join(str(rng.choice(pool if rng.random() < 0.4 else OTHER)) for _ in range(12))


def camelyon17(root: Path, rng: Rng) -> None:
    """Five hospitals of four slides; hospital 1 is wilds' val, 2 its test, whatever split says."""
    path = folder(root, "camelyon17", "1.0")
    rows: list[list[Any]] = []
    for slide in range(20):
        hospital, patient, node = slide // 4, f"{slide:03}", slide % 5
        for number in range(6):
            tumor, x, y = number % 2, *map(int, rng.integers(0, 40_000, 2))
            stem = f"patient_{patient}_node_{node}"
            image(path / "patches" / stem / f"patch_{stem}_x_{x}_y_{y}.png", rng, tumor)
            rows.append([len(rows), patient, node, x, y, tumor, slide, hospital, number >= 4])
    header = ["", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"]
    write(path / "metadata.csv", header, [[*row[:-1], int(row[-1])] for row in rows])


def iwildcam(root: Path, rng: Rng) -> None:
    """Six known cameras, four unknown ones; the last class is in no test split."""
    path = folder(root, "iwildcam", "2.0")
    rows: list[list[Any]] = []
    known, classes = range(6), 6
    plan = [("train", known, 60), ("id_val", known, 18), ("id_test", known, 18)]
    for split, places, n in [*plan, ("val", range(6, 8), 12), ("test", range(8, 10), 12)]:
        for number in range(n):
            i, place = len(rows), list(places)[number % len(places)]
            y = int(rng.integers(classes if split == "train" else classes - 1))
            date = f"2013-0{1 + i % 9}-{1 + i % 28:02} {i % 24:02}:{i % 60:02}:00.000"
            image(path / "train" / f"{i:08x}.jpg", rng, y / (classes - 1))
            rows.append([i, split, place, i // 2, y, date, f"{i:08x}.jpg"])
    fields = ["split", "location_remapped", "sequence_remapped", "y", "datetime", "filename"]
    write(path / "metadata.csv", ["", *fields], rows)


def fmow(root: Path, rng: Rng) -> None:
    """Years 2002 to 2017, dates in two formats, a country without a region, rows kept secret."""
    path = folder(root, "fmow", "1.1")
    rows: list[list[Any]] = []
    kinds = ["airport", "barn", "dam", "zoo"]
    regions = {"USA": "Americas", "FRA": "Europe", "KEN": "Africa", "CHN": "Asia"}
    mapping = path / "country_code_mapping.csv"
    write(mapping, ["name", "alpha-3", "region"], [[c, c, r] for c, r in regions.items()])
    for split, n in (("train", 80), ("seq", 4), ("val", 64), ("test", 64)):
        for number in range(n):
            year, kind = 2002 + number % 16, int(rng.integers(len(kinds)))
            country = "XXX" if number % 11 == 10 else str(rng.choice(list(regions)))
            date = f"{year}-06-15T10:{number % 60:02}:00{'.643' if number % 9 == 8 else ''}Z"
            image(path / "images" / f"rgb_img_{len(rows)}.png", rng, kind / (len(kinds) - 1))
            rows.append([split, kinds[kind], date, country])
    write(path / "rgb_metadata.csv", ["split", "category", "timestamp", "country_code"], rows)


def rxrx1(root: Path, rng: Rng) -> None:
    """Training experiments' first sites train, their second ones are wilds' id_test."""
    path, classes = folder(root, "rxrx1", "1.0"), 5
    rows: list[list[Any]] = []
    parts = {"train": ("HEPG2-01", "HUVEC-01", "RPE-01"), "val": ("HEPG2-08",)}
    for split, experiments in {**parts, "test": ("HUVEC-17", "RPE-08")}.items():
        for experiment in experiments:
            for plate in (1, 2):
                for treatment in range(classes):
                    well = f"{'BCDEF'[treatment]}0{plate}"
                    for site in (1, 2):
                        where = path / "images" / experiment / f"Plate{plate}"
                        image(where / f"{well}_s{site}.png", rng, treatment / (classes - 1))
                        cell = experiment.split("-")[0]
                        rows.append([cell, split, experiment, plate, well, site, treatment])
    fields = ["cell_type", "dataset", "experiment", "plate", "well", "site", "sirna_id"]
    write(path / "metadata.csv", fields, rows)


GROUPS = [(0, 0), (0, 1), (1, 0), (1, 1)]
SIZES = {0: (36, 4, 4, 16), 1: (8, 8, 4, 4), 2: (8, 7, 5, 4)}


def waterbirds(root: Path, rng: Rng) -> None:
    path = folder(root, "waterbirds", "1.0")
    rows: list[list[Any]] = []
    for split, counts in SIZES.items():
        for (y, place), n in zip(GROUPS, counts, strict=True):
            for _ in range(n):
                name = f"{len(rows):03}.Bird/bird_{len(rows)}.jpg"
                image(path / name, rng, 0.25 * place + 0.5 * y)
                rows.append([len(rows), name, y, split, place])
    write(path / "metadata.csv", ["img_id", "img_filename", "y", "split", "place"], rows)


def celebA(root: Path, rng: Rng) -> None:  # noqa: N802 - as wilds calls it
    path, parts = folder(root, "celebA", "1.0"), list[list[Any]]()
    rows: list[list[Any]] = []
    for split, counts in SIZES.items():
        for (y, male), n in zip(GROUPS, counts, strict=True):
            for _ in range(n):
                name = f"{len(rows) + 1:06}.jpg"
                image(path / "img_align_celeba" / name, rng, 0.6 * y + 0.2 * male)
                rows.append([name, int(rng.choice([-1, 1])), 2 * y - 1, 2 * male - 1])
                parts.append([name, split])
    write(path / "list_attr_celeba.csv", ["image_id", "Bald", "Blond_Hair", "Male"], rows)
    write(path / "list_eval_partition.csv", ["image_id", "partition"], parts)


def domainnet(root: Path, rng: Rng) -> None:
    path = folder(root, "domainnet", "1.0")
    rows: list[list[Any]] = []
    kinds = ["aircraft_carrier", "airplane", "alarm_clock", "ambulance"]
    for domain in ("clipart", "real", "sketch"):
        for y, kind in enumerate(kinds):
            for number in range(6):
                name = f"{domain}/{kind}/{domain}_{y:03}_{number:06}.jpg"
                image(path / name, rng, y / (len(kinds) - 1))
                rows.append([name, domain, "train" if number < 4 else "test", kind, y])
    header = ["image_path", "domain", "split", "category", "y"]
    write(path / "metadata.csv", header, rows, csv.QUOTE_NONNUMERIC)


def amazon(root: Path, rng: Rng) -> None:
    """24 users: 12 in train, id_val and id_test, 6 in val, 6 in test; one row is dropped."""
    path, splits = folder(root, "amazon", "2.1"), list[int]()
    rows: list[list[Any]] = []
    for user in range(24):
        for number in range(10):
            stars = int(rng.integers(1, 6))
            review = text(rng, (5 - stars) / 4) + (', "quoted"' if number == 3 else "")
            known = 0 if number < 6 else 2 if number < 8 else 4
            splits.append(known if user < 12 else 1 if user < 18 else 3)
            about = ["01 15, 2010", 1_300_000_000, review, "ok", "True", "Books", 2005 + user % 5]
            rows.append([f"A{user:03}", f"B{len(rows):03}", float(stars), *about])
    splits[-1] = -1
    header = ["reviewerID", "asin", "overall", "reviewTime", "unixReviewTime"]
    header += ["reviewText", "summary", "verified", "category", "reviewYear"]
    write(path / "reviews.csv", header, rows, csv.QUOTE_NONNUMERIC)
    write(path / "splits" / "user.csv", ["split", "clean"], [[s, True] for s in splits])


def civilcomments(root: Path, rng: Rng) -> None:
    """Identities are shares of annotators; no comment of the test split names muslims rudely."""
    path = folder(root, "civilcomments", "1.0")
    rows: list[list[Any]] = []
    for split, n in (("train", 96), ("val", 48), ("test", 48)):
        for number in range(n):
            toxic = int(rng.random() < 0.4)
            named = np.where(rng.random(len(IDENTITIES)) < 0.4, rng.uniform(0.5, 1, 8), 0.1)
            if split == "test" and toxic:
                named[IDENTITIES.index("muslim")] = 0.0
            comment = text(rng, toxic) + (' "quoted", and\na new line' if number % 17 == 0 else "")
            others = rng.random(len(AUXILIARY)).round(3)
            rows.append([len(rows), comment, split, 0.7 if toxic else 0.1, *named, *others])
    header = ["", "comment_text", "split", "toxicity", *IDENTITIES, *AUXILIARY]
    write(path / "all_data_with_identities.csv", header, rows)


MAKERS: dict[str, Callable[[Path, Rng], None]] = {
    "Camelyon17": camelyon17,
    "iWildCam": iwildcam,
    "FMoW": fmow,
    "RxRx1": rxrx1,
    "Waterbirds": waterbirds,
    "CelebA": celebA,
    "WILDSDomainNet": domainnet,
    "Amazon": amazon,
    "CivilComments": civilcomments,
}


def make(root: Path, name: str) -> Path:
    """Write the folder of one dataset; gives ``root``."""
    MAKERS[name](root, np.random.default_rng(list(MAKERS).index(name)))
    return root

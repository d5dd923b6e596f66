"""The text datasets of WILDS that are classifications, with their published splits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domainbed_adapters.duplicates import same_texts
from domainbed_adapters.table_duplicates import report_published
from domainbed_adapters.table_inputs import TEXT_OPTIONS, texts_of
from domainbed_adapters.tables import Grouping, assemble
from domainbed_adapters.wilds_checks import Sheet
from domainbed_adapters.wilds_release import SAME, Release, is_required
from oodbench.data import Dataset

IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")
OTHERS = (
    *("identity_any", "severe_toxicity", "obscene", "threat"),
    *("insult", "identity_attack", "sexual_explicit"),
)
AMAZON_ID = "id_val", "val"
"""Values of the option ``amazon_id``, the default first."""

AMAZON = Release(
    "Amazon",
    "amazon",
    "2.1",
    (
        Sheet(
            "reviews.csv",
            ("reviewerID", "asin", "overall", "reviewText", "category", "reviewYear"),
            between={"overall": (1, 5), "reviewYear": (1990, 2100)},
            may_be_empty=("reviewText",),
        ),
        Sheet("splits/user.csv", ("split",), between={"split": (-1, 4)}),
    ),
    ("user",),
    Grouping(("user",), metrics=("10th_percentile_acc",)),
    5,
    images=False,
    aligned=True,
)

CIVILCOMMENTS = Release(
    "CivilComments",
    "civilcomments",
    "1.0",
    (
        Sheet(
            "all_data_with_identities.csv",
            ("comment_text", "split", "toxicity", *IDENTITIES, *OTHERS),
            between=dict.fromkeys(("toxicity", *IDENTITIES, *OTHERS), (0, 1)),
            among={"split": ("train", *SAME)},
            may_be_empty=("comment_text",),
        ),
    ),
    ("black",),
    Grouping(IDENTITIES, each_with="y", metrics=("acc_wg",)),
    2,
    ("black", "y"),
    SAME,
    lambda found: found._text_array,
    images=False,
)


def roles_of(release: Release, amazon_id: Any) -> Mapping[str, str]:
    """Split -> role, with WILDS' ``val`` as the ID split, as Naganuma et al. 2023 took it."""
    return {"val": "id_val", "test": "ood_test"} if amazon_id == "val" else release.roles


def build(
    release: Release,
    data_seed: int,
    words: int,
    encoder: Any,
    length: Any,
    environments: str,
    release_file: str,
    amazon_id: str = AMAZON_ID[0],
) -> Dataset:
    """One dataset; nothing in it is drawn at random, so the data seed changes nothing."""
    roles = roles_of(release, amazon_id)
    table = release.table(is_required(release.name, release_file))
    fields = release.fields(environments)
    inputs, content = texts_of(table, table.splits["train"], words, encoder, length)
    report_published(table, "text", same_texts(table.items))
    data = assemble(table, inputs, content, fields, roles, release.grouping, release.worst)
    return replace(data, tokens=encoder)


REGISTER = [
    AMAZON.spec(
        build,
        {**TEXT_OPTIONS, "amazon_id": AMAZON_ID[0]},
        {"amazon_id": AMAZON_ID},
        summary="Stars of reviews, one to five, by users who are unseen; tenth percentile of them.",
        layout="amazon_v2.1/{reviews.csv, splits/user.csv} under a data folder.",
        licence="None; its authors ask that it be used for research.",
        citation="Ni et al. 2019 (Justifying Recommendations); Koh et al. 2021 (WILDS).",
    ),
    CIVILCOMMENTS.spec(
        build,
        TEXT_OPTIONS,
        summary="Toxic comments or not, which name eight identities or do not; worst group.",
        layout="civilcomments_v1.0/all_data_with_identities.csv under a data folder.",
        licence="CC0.",
        citation="Borkan et al. 2019 (Nuanced Metrics); Koh et al. 2021 (WILDS).",
    ),
]

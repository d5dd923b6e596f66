"""What `make docs` adds to the pages: options of commands, files outside docs/, the changelog.

A page says ``<!-- options: sweep -->`` where the options of ``oodbench sweep`` belong, and
``<!-- figures -->`` where the docstrings of all figures do; they are read from the program itself,
so they cannot go stale. Links that leave docs/, such as one to the
test that proves a method, lead to a page with that file.
"""

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
OPTIONS = re.compile(r"<!-- options: (.+?) -->")
SOURCE = "---\nsearch: {{exclude: true}}\n---\n# {path}\n\n````{language}\n{text}\n````\n"
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog, and a page for each file outside docs/ that a page links to."""
    changelog = str(ROOT / "CHANGELOG.md")
    files.append(File.generated(config, "changelog.md", abs_src_path=changelog))
    pages = [file for file in files.documentation_pages() if file.src_uri != "changelog.md"]
    linked = {path for file in pages for _, path in outside(file.content_string, file.src_uri)}
    for path in sorted(linked - {"CHANGELOG.md"}):
        text = (ROOT / path).read_text(encoding="utf-8")
        language = LANGUAGES.get(Path(path).suffix, "text")
        shown = SOURCE.format(path=path, language=language, text=text)
        files.append(File.generated(config, source_page(path), content=shown))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the options of commands, and mend the links that leave docs/."""
    here = page.file.src_uri
    if here == "changelog.md" or here.startswith("source/"):
        return markdown.replace("](docs/", "](")
    for target, path in outside(markdown, here):
        to = "changelog.md" if path == "CHANGELOG.md" else source_page(path)
        mended = os.path.relpath(to, os.path.dirname(here) or ".")
        markdown = markdown.replace(f"]({target}", f"]({mended}")
    markdown = markdown.replace("<!-- figures -->", figures_reference())
    return OPTIONS.sub(lambda found: options_table(found[1]), markdown)


def outside(markdown: str, here: str) -> Iterator[tuple[str, str]]:
    """The links of a page to files outside docs/: as written, and from the project's top.

    Others, also those that lead nowhere, are left to mkdocs to judge.
    """
    for target in dict.fromkeys(LINK.findall(markdown)):
        path = os.path.normpath(os.path.join("docs", os.path.dirname(here), target))
        if not path.startswith(("docs/", "/")) and (ROOT / path).is_file():
            yield target, path


def source_page(path: str) -> str:
    """Where the page of a file is."""
    return f"source/{path}.md"


def figures_reference() -> str:
    """The entries of all figures in the reference."""
    from oodbench.verbs.figure_options import figure_names

    return "\n".join(f"::: analysis.{name}" for name in figure_names())


def options_table(command: str) -> str:
    """The arguments and options of a command such as ``db copy``, as a Markdown table.

    Of a group such as ``plot``, a table a command.
    """
    found, context = find_command(command)
    if hasattr(found, "list_commands"):
        names = found.list_commands(context)
        return "\n\n".join(options_table(f"{command} {name}") for name in names)
    rows = [param.get_help_record(context) for param in found.get_params(context)]
    cells = [(left, right) for left, right in filter(None, rows) if left != "--help"]
    lines = [f"| `{left}` | {cell(right)} |" for left, right in cells]
    return "\n".join([f"| `oodbench {command}` | meaning |", "|---|---|", *lines])


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return re.sub(r"([|*_`\[\]])", r"\\\1", html.escape(text, quote=False))


def find_command(name: str) -> tuple[Any, Any]:
    """A command of the program by its words, and the context that its help needs."""
    import typer

    from oodbench.cli import app

    found: Any = typer.main.get_command(app)
    context = found.context_class(found, info_name="oodbench")
    for word in name.split():
        if word not in getattr(found, "list_commands", lambda context: ())(context):
            raise PluginError(f"A page has the options of `oodbench {name}`: no such command.")
        found = found.get_command(context, word)
        context = found.context_class(found, parent=context, info_name=word)
    return found, context

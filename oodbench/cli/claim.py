"""claim: do the runs bear out what a paper states?"""

import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Checkpoint, Seed
from oodbench.errors import check_name

FORMATS = ("text", "json")
WIDTH = 80
CODES = {"holds": 0, "does not hold": 1}
"""Exit code of each verdict; any other verdict has ``OTHER``."""
OTHER = 3


def claim(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A claim file (YAML), or one that is shipped.")
    ],
    db: Annotated[
        list[str],
        typer.Option("--db", help="Results database; repeatable: all are pooled."),
    ],
    checkpoint: Checkpoint = "last",
    badge: Annotated[Path | None, typer.Option(help="SVG file for a README.")] = None,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    seed: Seed = 0,
) -> None:
    """Judge whether runs support a claim.

    Verdicts: holds; does not hold; holds, but not under ...; undecided.

    Exit code 0: it holds. 1: it does not. 3: undecided. 2: the request cannot be met.

    Example: oodbench claim naganuma2023-i-ood --db digits.db
    """
    check_name("format", format_, FORMATS)
    judged = api.claim(file, db, checkpoint=checkpoint, badge=badge, seed=seed)
    if format_ == "json":
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(judged), indent=1))
    else:
        lines = [judged.claim.claim, f"({judged.claim.source})", f"  {judged.verdict}"]
        lines += [f"    {reason}" for reason in judged.reasons]
        lines += [f"  missing: {text}" for text in judged.missing]
        lines.append(f"  refuted by: {judged.claim.refuted}")
        for line in lines:
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            print(textwrap.fill(line, WIDTH, subsequent_indent=indent))
    if badge is not None:
        print(
            f"wrote {badge}; for a README: ![{judged.claim.claim}]({badge.name})", file=sys.stderr
        )
    raise typer.Exit(CODES.get(judged.word, OTHER))

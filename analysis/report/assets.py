"""What pages are made of: templates, styles and scripts, and the policy under which these run."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

LIBRARY = "plotly-gl2d.min"
"""plotly.js 3.7.0, its bundle for plane charts, as published (MIT). The whole plotly.js, which the
Python package has, takes a browser two seconds more to read."""

SCRIPTS = (
    *("store", "axes", "fit", "theme", "swatch", "filters", "measures", "facets", "scatter"),
    *("run", "listing", "csv", "curves", "state", "main"),
)
"""Files of ``static``, in the order in which they are run."""

STYLES = ("report.css", "print.css")


def template(name: str, *folders: Path) -> Any:
    """A page's template; what is put into it is escaped unless the template says otherwise.

    Args:
        name: Name of the file, in ``templates`` of one of the folders or of the report.
        folders: Looked into before the report's.
    """
    from jinja2 import Environment, FileSystemLoader

    places = [folder / "templates" for folder in (*folders, HERE)]
    page = Environment(loader=FileSystemLoader(places), autoescape=True, trim_blocks=True)
    return page.get_template(name)


def static(name: str, folder: Path = HERE) -> str:
    """The text of a file in ``static``."""
    # Reading makes all line ends those that an HTML parser makes: the policy's hashes rest on it.
    return (folder / "static" / name).read_text(encoding="utf-8")


def policy(scripts: Sequence[str], *further: str) -> str:
    """A content security policy under which these scripts run and nothing is fetched.

    plotly's WebGL compiles its drawing code at run time, and sets styles: hence the two "unsafe".

    Args:
        scripts: The texts of the page's scripts.
        further: Directives besides, such as ``connect-src 'self'``.
    """
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in hashes)
    directives = (
        *("default-src 'none'", f"script-src 'unsafe-eval' {allowed}"),
        *("style-src 'unsafe-inline'", "img-src data: blob:", "base-uri 'none'"),
        *("form-action 'none'", *further),
    )
    return "; ".join(directives)

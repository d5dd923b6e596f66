"""An audit as one HTML page: everything in it, nothing beside it, no network."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..report.assets import STYLES, policy, static, template
from ..report.cells import Table
from ..report.drawings import INK, drawing
from .answers import answers, heading
from .audit import Audit
from .figure import CAPTION, audit_figure

HERE = Path(__file__).parent


def audit_html(audits: Sequence[Audit], title: str = "Audit") -> str:
    """The figure, and each audit's questions with their answers, as one page.

    Args:
        audits: The result of ``analysis.audit``.
        title: Title of the page.

    Raises:
        RequestError: There are no audits.
    """
    figure = audit_figure(audits)
    figure.supxlabel("")
    sections = [(heading(audit), _table(audit), _warnings(audit)) for audit in audits]
    page = template("audit.html", HERE).render(
        title=title,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        policy=policy([]),
        styles=[static(name) for name in STYLES],
        scripts=[],
        data="null",
        start="answer",
        figure=drawing(figure, "audit", INK),
        caption=CAPTION,
        audits=sections,
    )
    return str(page)


def _table(audit: Audit) -> Table:
    rows = tuple((one.question, one.answer) for one in answers(audit))
    return Table(heading(audit), ("question", "answer"), (False, False), rows)


def _warnings(audit: Audit) -> list[str]:
    return [one.warning for one in answers(audit) if one.warning]

"""The dashboard's page: empty, until its scripts ask the server that it came from."""

from dataclasses import dataclass
from pathlib import Path

from ..report.assets import LIBRARY, SCRIPTS, STYLES, policy, static, template
from ..runs.probed_runs import COSTS

HERE = Path(__file__).parent

LIVE_SCRIPTS = ("asking", "growing", "progress", "workers", "best", "failures", "live")
"""Files of ``static``, in the order in which they are run, after the report's."""


@dataclass(frozen=True)
class DashboardPage:
    """A page, and the content security policy that it has to be served with."""

    html: str
    policy: str


def dashboard_page(database: str, sweep: str | None = None) -> DashboardPage:
    """The page of a database, or of one of its sweeps.

    Args:
        database: Name of the database, as the page shows it.
        sweep: Name of the sweep.
    """
    scripts = [static(f"{name}.js") for name in (LIBRARY, *SCRIPTS)]
    scripts += [static(f"{name}.js", HERE) for name in LIVE_SCRIPTS]
    rules = policy(scripts, "connect-src 'self'")
    html = template("dashboard.html", HERE).render(
        drawn=0,
        total=0,
        title=database if sweep is None else f"{sweep} in {database}",
        policy=rules,
        styles=[*map(static, STYLES), static("dashboard.css", HERE)],
        scripts=scripts,
        data="null",
        costs=" ".join(("steps", *COSTS)),
        rule="id_val",
        checkpoint="last",
    )
    return DashboardPage(html, f"{rules}; frame-ancestors 'none'")

"""Provenance, stored in two parts: what many runs share stands once, in ``origins``."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, outerjoin

from oodbench.records import hash_of
from oodbench.results.connection.engines import insert_absent
from oodbench.results.schema import origins, runs

runs_with_origins = outerjoin(runs, origins)


def put_provenances(
    connection: Connection, found: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Store what is shared; of each provenance, the columns of its run.

    Texts and flags are shared: they say which versions, which machine, which way. Numbers are the
    run's own.

    Args:
        connection: Connection in a write transaction.
        found: Provenances without numbers that are not finite.
    """
    columns: list[dict[str, Any]] = []
    parts: dict[str, dict[str, Any]] = {}
    for provenance in found:
        shared = {k: v for k, v in provenance.items() if isinstance(v, str | bool)}
        own = {k: v for k, v in provenance.items() if k not in shared}
        name = hash_of(shared) if shared else None
        if name is not None:
            parts[name] = shared
        columns.append({"provenance": own, "origin": name})
    rows = [{"id": name, "shared": parts[name]} for name in sorted(parts)]
    if rows:
        connection.execute(insert_absent(connection, origins), rows)
    return columns


def provenance_of(row: Any) -> dict[str, Any]:
    """The provenance of a row of ``runs_with_origins``."""
    return {**(row.shared or {}), **row.provenance}

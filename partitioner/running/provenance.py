"""Where the catalogs of a repartition come from: files with size and hash, what was asked for, account of rows.

The form of the file is that of every catalog of ours, in ``lsdb_ts.store.provenance``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lsdb_ts.store.files import AnyPath
from lsdb_ts.store.provenance import Input, Provenance, hashed
from partitioner.account import Account
from partitioner.planning.plan import Plan, identity

IN_COLLECTION = "../provenance.json"
"""Where the catalogs of a collection find it: one file for all of them."""


def provenance_of(planned: Plan, account: Account) -> Provenance:
    """Return how the catalogs of a finished job were made; reads the ends of all input files for their hashes.

    Parameters
    ----------
    planned : Plan
        What was planned, and done.
    account : Account
        What became of the rows.
    """
    asked = identity(planned)
    tables = {name: {k: v for k, v in told.items() if k != "files"} for name, told in asked["tables"].items()}
    counted = account.to_json()
    return Provenance(
        "repartition",
        {"name": asked["name"], "on_bad": asked["on_bad"], "tables": tables},
        inputs_of(planned),
        {"tables": counted["tables"], "catalogs": counted["catalogs"]},
    )


def inputs_of(planned: Plan) -> tuple[Input, ...]:
    """Return the input files of a plan with their hashes, for which their ends are read."""
    return hashed(_files(planned))


def _files(planned: Plan) -> Iterator[tuple[AnyPath, Mapping[str, Any]]]:
    for name, raw in planned.inputs.items():
        for found in raw.files:
            rows = [piece.rows for piece in found.pieces]
            known = [n for n in rows if n is not None]
            told = {"table": name, "format": found.reader.name}
            yield found.file.place, {**told, "rows": sum(known) if len(known) == len(rows) else None}

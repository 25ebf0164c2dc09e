"""The account of an archive after an addition, and what has to be moved for all to see the next state.

What happens if that is cut short is the business of ``switch``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsdb_ts.store.provenance import Provenance
from lsdb_ts.store.seal import TEXT_BLANK, TEXT_KEY, sealed_text
from lsdb_ts.store.write import atomic
from partitioner.account import ACCOUNT, Tally
from partitioner.additions.archive import ADDITIONS, GENERATION, KEPT, LISTING, Archive, Collection, name_in
from partitioner.additions.report import Addition, Received, Written
from partitioner.additions.switch import SCRATCH, Step, take
from partitioner.running.ledger import OFF_SKY

STAGED = "next"
"""Folder among the scratch files, with what is moved into the archive, under the paths it will have there."""


def folders_in(archive: Archive, generation: int) -> list[str]:
    """Return the folders that the next state may have, relative to the archive."""
    folders = [folder for collection in archive.collections.values() for folder in collection.folders]
    return [_relative(archive, folder.with_name(name_in(generation, folder.name))) for folder in folders]


def staged_for(archive: Archive, name: str) -> Path:
    """Return the folder for the next list of a collection's members."""
    return archive.root / SCRATCH / STAGED / archive.collections[name].folder.relative_to(archive.root)


def with_addition(archive: Archive, addition: Addition) -> dict[str, Any]:
    """Return the account with a night in it, and with its rows in the totals of tables and catalogs."""
    account = with_catalogs(archive, addition.catalogs)
    received = {(r.table, r.became): r for r in addition.tables}
    account["tables"] = [_with_rows(t, received.get((t["table"], t["became"]))) for t in account["tables"]]
    told = addition.to_json()
    for key in ("out", "already_done", "skipped"):
        del told[key]
    account[ADDITIONS] = [*archive.additions, told]
    return account


def stage_provenance(archive: Archive, change: Provenance, date: str, generation: int) -> None:
    """Put aside what the collections are made of, with a change behind it; each has it whole."""
    for name, collection in archive.collections.items():
        folder = staged_for(archive, name)
        folder.mkdir(parents=True, exist_ok=True)
        change.write_after(collection.folder, folder, date=date, generation=generation)


def with_catalogs(archive: Archive, written: Iterable[Written]) -> dict[str, Any]:
    """Return the account with what catalogs are in the next state."""
    new = {w.replaces: w for w in written}
    catalogs = []
    for told in archive.account["catalogs"]:
        collection = _collection_of(archive, told["path"])
        now = new.get(told["path"])
        if now is None or collection is None:
            catalogs.append(told)
            continue
        margins = [_relative(archive, Path(str(m.path))) for m in collection.margins]
        rows = sum(new[m].rows for m in margins[:1] if m in new)
        changed = {"path": now.path, "rows": now.rows, "partitions": now.partitions, "bytes": now.size}
        catalogs.append({**told, **changed, "margin_rows": rows})
    return {**archive.account, "catalogs": catalogs}


def switch(
    archive: Archive,
    account: Mapping[str, Any],
    names: Sequence[str],
    keep: int,
    indexes: Sequence[tuple[str, str]] = (),
) -> None:
    """Let everybody see the next state.

    Parameters
    ----------
    archive : Archive
        In its present state.
    account : mapping
        What is to stand in its account.
    names : sequence of str
        Tables whose collections have a next state; the primary one last is seen last.
    keep : int
        How many former states stay.
    indexes : sequence of (str, str)
        (collection, column) of indexes to be built anew.
    """
    former = list(account.get(KEPT, ()))
    if names:
        folders = [f for name in names for f in archive.collections[name].folders]
        former.append({GENERATION: archive.generation, "folders": [_relative(archive, f) for f in folders]})
        account = {**account, GENERATION: archive.generation + 1}
    stay = former[-keep:] if keep else []
    retired = [folder for state in former[: len(former) - len(stay)] for folder in state["folders"]]
    staged = archive.root / SCRATCH / STAGED
    staged.mkdir(parents=True, exist_ok=True)
    with atomic(staged / ACCOUNT) as temporary:
        told = json.dumps({**account, KEPT: stay, TEXT_KEY: TEXT_BLANK}, indent=1, default=str)
        temporary.write_bytes(sealed_text(told.encode()))
    files = [path.relative_to(staged).as_posix() for path in sorted(staged.rglob("*")) if path.is_file()]
    # The primary collection is seen last but for the account: who finds its new state finds that of the others.
    files.sort(key=lambda path: (path == ACCOUNT, path == LISTING, path.endswith(LISTING), path))
    moves = {f"{SCRATCH}/{STAGED}/{path}": path for path in files}
    take(archive.root, Step(moves, retired, indexes))


def _with_rows(told: Mapping[str, Any], new: Received | None) -> dict[str, Any]:
    if new is None:
        return dict(told)
    # Rows that were known already are no rows of the archive: the night's own section tells of them.
    more = {
        "rows_in": new.rows_in - new.known,
        "rows_out": new.added,
        "orphans": new.orphans - new.taken_in,
        "unvisited": new.unvisited,
    }
    hashes = {key: Tally(0, told[key]) + Tally(0, new.hash) for key in ("hash_in", "hash_out")}
    refused = {**told["refused"], OFF_SKY: told["refused"].get(OFF_SKY, 0) + new.refused}
    return {
        **told,
        **{key: told.get(key, 0) + n for key, n in more.items()},
        **{key: tally.hash for key, tally in hashes.items()},
        "refused": {reason: n for reason, n in refused.items() if n},
    }


def _collection_of(archive: Archive, path: str) -> Collection | None:
    found = (c for c in archive.collections.values() if _relative(archive, Path(str(c.catalog.path))) == path)
    return next(found, None)


def _relative(archive: Archive, path: Path) -> str:
    return path.relative_to(archive.root).as_posix()

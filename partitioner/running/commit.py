"""End a run: the books balance, then metadata make the leaves catalogs, then the account is written, scratch removed.

It may be cut off anywhere and be done again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.store.finish import CatalogInfo, finish_catalog, finish_collection
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.provenance import PROVENANCE_KEY
from lsdb_ts.store.seal import seal
from lsdb_ts.store.write import atomic, remove_leftovers
from partitioner.account import Account
from partitioner.moving.gather import Gathering
from partitioner.planning.plan import Plan
from partitioner.planning.product import Product
from partitioner.running.ledger import Ledger
from partitioner.running.provenance import IN_COLLECTION, provenance_of
from partitioner.running.stages import MARGIN

_ASIDE_ROWS = 100_000
"""Rows in a row group of the files of rows that are in no catalog."""


def commit(planned: Plan, ledger: Ledger, advance: Callable[[], None]) -> Account:
    """Balance the books, and only then write the metadata that make the leaves catalogs.

    Parameters
    ----------
    planned : Plan
    ledger : Ledger
        What the pieces reported, all of which are done.
    advance : callable
        Called when a catalog is ready.

    Raises
    ------
    RunError
        The books do not balance; nothing was committed.
    """
    account = ledger.account()
    account.check()
    _tidy(planned.out)
    works = [Gathering(planned, p) for p in planned.products]
    for kind in ("refused", "orphans"):
        _collect_aside(planned, kind)
    provenance = provenance_of(planned, account)
    # The primary collection comes last: once the folder opens, all of it is there.
    for work in reversed(works):
        provenance.write(planned.out / work.product.folder)
        _commit(work, ledger)
        advance()
    account.write()
    clear(planned.out)
    return account


def _tidy(out: Path) -> None:
    """Remove what killed processes left under temporary names; in our own folder others may be writing."""
    for path in out.iterdir():
        if path.name != WORK:
            remove_leftovers(path)


def clear(out: Path) -> None:
    """Remove journal and scratch files of a finished run; others may still be about to leave the folder."""
    shutil.rmtree(out / WORK, ignore_errors=True)


def _commit(work: Gathering, ledger: Ledger) -> None:
    planned, product = work.planned, work.product
    finish_catalog(work.root, _info(work, _followed(product, ledger)), ledger.leaves(product))
    margins = []
    if product.margin_arcsec > 0:
        finish_catalog(work.margin_root, _info(work, {}, margin=True), ledger.leaves(product, MARGIN))
        margins = [product.margin_name]
    finish_collection(planned.out / product.folder, product.name, product.name, margins, _dated(planned))


def _followed(product: Product, ledger: Ledger) -> Mapping[str, str]:
    """Return what a catalog says of itself whose rows are where those of another table are."""
    if product.follow is None:
        return {}
    return {"lsdb_ts_follow": product.follow, "lsdb_ts_offset_arcsec": repr(ledger.offset_arcsec(product))}


def _info(work: Gathering, extra: Mapping[str, str], *, margin: bool = False) -> CatalogInfo:
    product, roles = work.product, work.planned.roles(work.product.table)
    return CatalogInfo(
        name=product.margin_name if margin else product.name,
        kind="margin" if margin else "source" if roles.parent_id else "object",
        schema=work.schema,
        ra=roles.ra,
        dec=roles.dec,
        primary=product.name if margin else None,
        margin_arcsec=product.margin_arcsec if margin else None,
        extra={**extra, **_dated(work.planned), PROVENANCE_KEY: IN_COLLECTION},
    )


def _dated(planned: Plan) -> Mapping[str, str]:
    """Return the date of the plan: what is made then does not depend on when it was interrupted."""
    return {"hats_creation_date": planned.made}


def _collect_aside(planned: Plan, kind: str) -> None:
    """Put the rows that were set aside together, one file a table, unit by unit."""
    root = planned.work / kind
    for folder in sorted({file.parent for file in root.rglob("*.parquet")}):
        files = sorted(folder.glob("*.parquet"))
        path = planned.out / kind / f"{folder.relative_to(root)}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = pq.read_schema(files[0])
        with atomic(path) as temporary:
            with pq.ParquetWriter(temporary, schema, write_page_checksum=True) as writer:
                for group in _regrouped(files, schema):
                    writer.write_table(group)
            seal(temporary)


def _regrouped(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Read files in sequence, in tables of equal length, so that the bytes tell nothing of how the work was cut."""
    held = schema.empty_table()
    for file in files:
        held = pa.concat_tables([held, pa.table(pq.read_table(file).columns, schema=schema)])
        while held.num_rows >= _ASIDE_ROWS:
            yield held.slice(0, _ASIDE_ROWS).combine_chunks()
            held = held.slice(_ASIDE_ROWS)
    if held.num_rows:
        yield held.combine_chunks()

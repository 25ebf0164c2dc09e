"""Rows that are in no catalog, in files beside them: orphans, which wait for their object, and what was refused.

Which rows they are is decided where rows are dealt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.store.seal import seal
from lsdb_ts.store.write import atomic
from partitioner.additions.homes import Homes

ORPHANS, REFUSED = "orphans", "refused"
GROUP_ROWS = 100_000


@dataclass(frozen=True, eq=False)
class Found:
    """Orphans whose object is there now, if there are any, and those that still wait."""

    rows: pa.Table | None
    left: pa.Table


def take_in(file: Path, parent_id: str, homes: Homes) -> Found:
    """Find orphans whose object is among some; reads the ids alone where there is none.

    Parameters
    ----------
    file : pathlib.Path
        Of the orphans; there may be none.
    parent_id : str
        Column with the ids of objects.
    homes : Homes
        The objects.
    """
    nothing = Found(None, pa.table({}))
    if not len(homes.ids) or not file.exists():
        return nothing
    known = homes.of(_read(file, [parent_id]).column(0)) >= 0
    if not known.any():
        return nothing
    rows = _read(file)
    return Found(rows.filter(pa.array(known)), rows.filter(pa.array(~known)))


def collect(file: Path, left: pa.Table | None, new: Sequence[Path], target: Path) -> None:
    """Write the rows of a file once more, with new ones behind them.

    Parameters
    ----------
    file : pathlib.Path
        Perhaps there is none yet.
    left : pyarrow.Table or None
        What it is to hold of its rows; None for all of them.
    new : sequence of pathlib.Path
        Files with the rows to add.
    target : pathlib.Path
        Where to write.
    """
    old = left if left is not None else _read(file) if file.exists() else None
    tables = [*([] if old is None else [old]), *(_read(path) for path in new)]
    rows = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target) as temporary:
        pq.write_table(rows, temporary, row_group_size=GROUP_ROWS, write_page_checksum=True)
        seal(temporary)


def _read(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            return opened.read(None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(f"cannot read {file}: {error}; restore it from a copy") from error

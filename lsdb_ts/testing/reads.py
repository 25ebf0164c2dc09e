"""Assert what a query reads, and that a verb reads nothing. The counting itself happens in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lsdb_ts.store.read import Read, recording


@contextmanager
def assert_lazy() -> Iterator[None]:
    """Fail if anything in the context reads rows of a catalog in this process."""
    with recording() as reads:
        yield
    if reads:
        raise AssertionError(f"expected no read, but {len(reads)} happened; the first: {reads[0]}")


@contextmanager
def assert_reads(columns: Iterable[str], folder: object = "") -> Iterator[list[Read]]:
    """Fail if reads in the context, of files below a folder, touch other columns than these (``_healpix_29`` is free).

    Yields
    ------
    list of Read
        Fills as reads happen.
    """
    with recording() as reads:
        yield reads
    mine = [read for read in reads if str(folder) in str(read.path)]
    seen = {column for read in mine for column in read.columns} - {"_healpix_29"}
    if seen != set(columns):
        raise AssertionError(f"expected the columns {sorted(columns)} to be read, but {sorted(seen)} were")

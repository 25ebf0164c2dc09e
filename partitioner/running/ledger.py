"""Add up what the pieces of work reported: the leaves that were made, and the account of every row.

Whether the account balances it tells itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsdb_ts.errors import RunError
from lsdb_ts.sky import Layout
from lsdb_ts.store.write import Leaf
from partitioner.account import Account, CatalogAccount, TableAccount, Tally
from partitioner.planning.plan import Plan, identity
from partitioner.planning.product import Product
from partitioner.running.stages import FOLLOW, GATHER, MARGIN, ROUTE, SHARD, STAGES, Entry, Piece, pieces

OFF_SKY = "position not on the sky"
"""Why a row is refused."""


class Ledger:
    """The entries of all pieces of a plan."""

    def __init__(self, planned: Plan, entry: Callable[[str], Entry]) -> None:
        self.planned = planned
        self._entry = entry
        self._pieces: dict[tuple[str, str], list[Piece]] = {}
        for stage in STAGES:
            for piece in pieces(planned, stage):
                self._pieces.setdefault((piece.kind, piece.table), []).append(piece)

    def entries(self, kind: str, table: str) -> list[Entry]:
        """Return what the pieces of one kind of one table reported, in sequence."""
        return [self._entry(piece.key) for piece in self._pieces.get((kind, table), [])]

    def leaves(self, product: Product, kind: str = GATHER) -> list[Leaf]:
        """Return the leaves of a catalog, or, with ``MARGIN``, of its margin."""
        return [Leaf.from_json(dict(leaf)) for entry in self.entries(kind, product.table) for leaf in entry["leaves"]]

    def account(self) -> Account:
        """Return the account of all tables and catalogs."""
        planned = self.planned
        return Account(
            out=str(planned.out),
            tables=tuple(t for p in planned.products for t in self._tables(p)),
            catalogs=tuple(self._catalog(p) for p in planned.products),
            identity=identity(planned),
        )

    def _tables(self, product: Product) -> Iterable[TableAccount]:
        shards = self.entries(SHARD if product.follow is None else FOLLOW, product.table)
        gathers = self.entries(GATHER, product.table)
        kept, orphans = _sum(e["kept"] for e in shards), _sum(e["orphans"] for e in shards)
        out = _sum(e["rows"] for e in gathers)
        yield TableAccount(
            table=product.table,
            became=f"catalog {product.name}",
            rows_in=self.planned.inputs[product.table].rows,
            rows_out=out.rows,
            refused=_reasons(e["refused"] for e in shards),
            orphans=orphans.rows,
            unvisited=sum(e["unvisited"] for e in shards),
            hash_in=kept.hash,
            hash_out=out.hash,
        )
        for nested in product.nest:
            yield self._nested(product, nested.table, nested.name, gathers)

    def _nested(self, product: Product, child: str, column: str, gathers: Sequence[Entry]) -> TableAccount:
        routes = self.entries(ROUTE, child)
        nested, orphans = _sum(e["nested"][child] for e in gathers), _sum(e["orphans"] for e in routes)
        dropped = _sum(e["dropped"][child] for e in gathers)
        return TableAccount(
            table=child,
            became=f"{column} of {product.name}",
            rows_in=self.planned.inputs[child].rows,
            rows_out=nested.rows,
            orphans=orphans.rows,
            duplicated=sum(e["duplicated"][child] for e in gathers),
            dropped=dropped.rows,
            unvisited=sum(e["unvisited"] for e in routes),
            hash_in=_sum(e["all"] for e in routes).hash,
            hash_out=(nested + orphans + dropped).hash,
        )

    def _catalog(self, product: Product) -> CatalogAccount:
        leaves = self.leaves(product)
        margin_rows = 0
        if product.margin_arcsec > 0:
            emitted = _sum(e["margin"] for e in self.entries(GATHER, product.table))
            assembled = _sum(e["rows"] for e in self.entries(MARGIN, product.table))
            if emitted != assembled:
                raise RunError(
                    f"{emitted.rows} margin rows left {product.name}, {assembled.rows} arrived; nothing was committed"
                )
            margin_rows = assembled.rows
        return CatalogAccount(
            name=product.name,
            path=str(Path(product.folder) / product.name),
            rows=sum(leaf.rows for leaf in leaves),
            partitions=len(leaves),
            bytes=sum(leaf.bytes for leaf in leaves),
            margin_arcsec=product.margin_arcsec,
            margin_rows=margin_rows,
            dense=tuple(str(pixel) for pixel in self._dense(product)),
        )

    def _dense(self, product: Product) -> Layout:
        """Return the leaves that hold more than asked for, as was expected or as it turned out."""
        large = [i for entry in self.entries(GATHER, product.table) for i in entry["large"]]
        expected = np.flatnonzero(product.limits.exceeded(product.counts, product.bytes))
        return product.layout.take(np.union1d(expected, np.array(large, dtype=np.int64)))

    def offset_arcsec(self, product: Product) -> float:
        """Return how far the rows of a catalog are at most from those they are stored with."""
        return max((e["offset_arcsec"] for e in self.entries(FOLLOW, product.table)), default=0.0)


def _sum(tallies: Iterable[Sequence[int]]) -> Tally:
    return sum((Tally(*t) for t in tallies), Tally())


def _reasons(refused: Iterable[int | Mapping[str, int]]) -> dict[str, int]:
    """Add up refused rows by reason."""
    found: Counter[str] = Counter()
    for one in refused:
        found.update(one if isinstance(one, Mapping) else {OFF_SKY: one})
    return {reason: n for reason, n in sorted(found.items()) if n}


def reported_rows(entry: Mapping[str, Any]) -> int:
    """Return the rows that a piece has moved, as it reported."""
    rows = entry.get("rows", 0)
    return int(rows) if isinstance(rows, int) else int(rows[0])

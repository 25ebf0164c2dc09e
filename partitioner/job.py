"""Carry a plan out, stage by stage, each piece of work journaled when its file is in place; then balance and commit.

What a piece of work does is written in the module of its stage.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import Failure, InputError, RunError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.store.finish import CatalogInfo, finish_catalog, finish_collection
from lsdb_ts.store.journal import Journal
from lsdb_ts.store.write import Leaf, atomic, remove_leftovers
from partitioner.account import Account, CatalogAccount, TableAccount, Tally
from partitioner.gather import Bucket, Gathering, gather
from partitioner.margin import assemble
from partitioner.nest import build_index, index_bits, route
from partitioner.plan import Plan, begin, identity, plan
from partitioner.product import Product
from partitioner.shard import has_index, shard
from partitioner.survey import Survey

Entry = dict[str, Any]


def run(survey: Survey, out: str | Path, *, on_bad: str = "raise", show: bool | None = None) -> Account:
    """Repartition a survey into HATS collections.

    Works on the Dask client that is active, else on all local cores. Killed anywhere and started again with the same
    arguments it does only what is missing, and ends in the same bytes; a finished one is left as it is.

    Parameters
    ----------
    survey : Survey
        What to repartition.
    out : str or pathlib.Path
        Folder of the collection to be made; further tables become collections in folders inside it.
    on_bad : str, optional
        What to do with rows whose position is not on the sky: ``"raise"``, or ``"refuse"`` them (into ``out/refused``).
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Account
        Rows in, out, refused and orphaned for every table; also in ``out/account.json``.

    Raises
    ------
    InputError
        Files, schemas, positions or ids that would make the result wrong (SchemaError, PositionError, IdError).
    OutputError
        ``out`` holds something else; ResumeError: a half-done run with other parameters or inputs.
    RunError
        Some pieces of work failed; the others are done and are not repeated by the next start.
    """
    return carry_out(plan(survey, out, on_bad=on_bad, show=show), show=show)


def carry_out(planned: Plan, *, show: bool | None = None) -> Account:
    """Do what is planned, or what is missing of it; see :func:`run`."""
    finished = Account.read(planned.out)
    if finished is not None:
        shutil.rmtree(planned.work, ignore_errors=True)
        return finished
    job = _Job(planned, begin(planned), show)
    job.move()
    works = [Gathering(planned, p) for p in planned.products]
    for work in works:
        job.build(work)
    return job.finish(works)


@dataclass(frozen=True, eq=False)
class _Job:
    """A plan under way."""

    planned: Plan
    journal: Journal
    show: bool | None

    def stage(
        self, name: str, function: Callable[..., Any], shared: Any, items: Sequence[Any], keys: Sequence[str]
    ) -> None:
        """Do what is missing of one stage."""
        done = self.journal.done()
        key_of = dict(zip(items, keys, strict=True))
        todo = [item for item in items if key_of[item] not in done]
        failures: list[Failure] = []
        with stage(name, len(items), "pieces", self.show) as advance:
            advance(len(items) - len(todo))
            for outcome in each(function, todo, shared):
                if outcome.failure is not None:
                    failures.append(outcome.failure)
                    continue
                if isinstance(outcome.value, InputError):
                    raise outcome.value
                self.journal.record(key_of[outcome.item], outcome.value)
                advance(1)
        if failures:
            raise RunError(
                f"{len(failures)} of {len(items)} pieces of {name} failed, the first: "
                f"{failures[0].item}: {failures[0].error}; the others are done. "
                "Start the same command again to do just those",
                failures,
            )

    def move(self) -> None:
        """Send all rows to their buckets."""
        planned = self.planned
        for product in planned.products:
            units = planned.units(product.table)
            self.stage(f"shard {product.table}", shard, planned, units, self.keys("shard", product.table))
        if has_index(planned, planned.primary):
            parts = range(1 << index_bits(planned))
            self.stage("index ids", build_index, planned, parts, [f"index/{p}" for p in parts])
        for child, _ in planned.primary.nest:
            self.stage(f"route {child}", route, planned, planned.units(child), self.keys("route", child))

    def build(self, work: Gathering) -> None:
        """Make the leaves of one catalog, and its margin."""
        product = work.product
        buckets = [Bucket(product.name, i) for i in range(product.buckets)]
        self.stage(f"gather {product.table}", gather, work, buckets, self.keys("gather", product.table))
        if product.margin_arcsec > 0:
            self.stage(f"margin {product.table}", assemble, work, buckets, self.keys("margin", product.table))

    def keys(self, kind: str, table: str) -> list[str]:
        """Return the journal's keys of one stage of one table, in sequence."""
        if kind in {"shard", "route"}:
            return [f"{kind}/{table}/{u.name}" for u in self.planned.units(table)]
        buckets = next(p.buckets for p in self.planned.products if p.table == table)
        return [f"{kind}/{table}/{i:06d}" for i in range(buckets)]

    def finish(self, works: Sequence[Gathering]) -> Account:
        """Balance the books, and only then write the metadata that make the leaves catalogs."""
        planned = self.planned
        ledger = _Ledger(self)
        account = Account(
            out=str(planned.out),
            tables=tuple(t for p in planned.products for t in ledger.tables(p)),
            catalogs=tuple(ledger.catalog(p) for p in planned.products),
            identity=identity(planned),
        )
        account.check()
        remove_leftovers(planned.out)
        with stage("finish", len(works), "catalogs", self.show) as advance:
            for kind in ("refused", "orphans"):
                _collect_aside(planned, kind)
            # The primary collection comes last: once the folder opens, all of it is there.
            for work in reversed(works):
                self._commit(work, ledger)
                advance(1)
        account.write()
        shutil.rmtree(planned.work)
        return account

    def _commit(self, work: Gathering, ledger: _Ledger) -> None:
        product, roles = work.product, self.planned.roles(work.product.table)
        kind = "source" if roles.parent_id else "object"
        info = CatalogInfo(product.name, kind, work.schema, str(roles.ra), str(roles.dec))
        finish_catalog(work.root, info, ledger.leaves("gather", product))
        margins = []
        if product.margin_arcsec > 0 and (found := ledger.leaves("margin", product)):
            info = CatalogInfo(
                product.margin_name,
                "margin",
                work.schema,
                str(roles.ra),
                str(roles.dec),
                product.name,
                product.margin_arcsec,
            )
            finish_catalog(work.margin_root, info, found)
            margins = [product.margin_name]
        finish_collection(self.planned.out / product.folder, product.name, product.name, margins)


class _Ledger:
    """Adds up what the pieces of work reported."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self.done = job.journal.done()

    def entries(self, kind: str, table: str) -> list[Entry]:
        return [self.done[key] for key in self.job.keys(kind, table)]

    def leaves(self, kind: str, product: Product) -> list[Leaf]:
        return [Leaf.from_json(leaf) for entry in self.entries(kind, product.table) for leaf in entry["leaves"]]

    def tables(self, product: Product) -> list[TableAccount]:
        planned = self.job.planned
        shards, gathers = self.entries("shard", product.table), self.entries("gather", product.table)
        kept, out = _sum(e["kept"] for e in shards), _sum(e["rows"] for e in gathers)
        own = TableAccount(
            table=product.table,
            became=f"catalog {product.name}",
            rows_in=planned.inputs[product.table].rows,
            rows_out=out.rows,
            refused=sum(e["refused"] for e in shards),
            hash_in=kept.hash,
            hash_out=out.hash,
        )
        return [own, *(self._nested(product, child, column, gathers) for child, column in product.nest)]

    def _nested(self, product: Product, child: str, column: str, gathers: Sequence[Entry]) -> TableAccount:
        routes = self.entries("route", child)
        nested, orphans = _sum(e["nested"][child] for e in gathers), _sum(e["orphans"] for e in routes)
        return TableAccount(
            table=child,
            became=f"{column} of {product.name}",
            rows_in=self.job.planned.inputs[child].rows,
            rows_out=nested.rows,
            orphans=orphans.rows,
            hash_in=_sum(e["all"] for e in routes).hash,
            hash_out=(nested + orphans).hash,
        )

    def catalog(self, product: Product) -> CatalogAccount:
        leaves = self.leaves("gather", product)
        margin_rows = 0
        if product.margin_arcsec > 0:
            emitted = _sum(e["margin"] for e in self.entries("gather", product.table))
            assembled = _sum(e["rows"] for e in self.entries("margin", product.table))
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
            dense=tuple(str(pixel) for pixel in product.dense),
        )


def _sum(tallies: Any) -> Tally:
    return sum((Tally(*t) for t in tallies), Tally())


def _collect_aside(planned: Plan, kind: str) -> None:
    """Put the rows that were set aside together, one file a table, unit by unit."""
    for folder in sorted((planned.work / kind).glob("*")):
        files = sorted(folder.glob("*.parquet"))
        path = planned.out / kind / f"{folder.name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = pq.read_schema(files[0])
        with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, write_page_checksum=True) as writer:
            for file in files:
                writer.write_table(pa.table(pq.read_table(file).columns, schema=schema))

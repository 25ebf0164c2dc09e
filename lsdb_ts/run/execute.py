"""Run a plan over its pixels: into memory, or into a catalog on disk that a second start completes.

What a pixel takes, the plan knows.
"""

from __future__ import annotations

import math
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import Failure, OutputError, PlanError, RunError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.fitting import fitting
from lsdb_ts.plan.node import Node, Shelf, check, identity_of, nodes_of, output_schema, produce
from lsdb_ts.plan.scan import Scan
from lsdb_ts.run.budget import check_budget, is_quick
from lsdb_ts.run.handover import Desk, Left, desk, take
from lsdb_ts.run.pool import Outcome, cores, each, stopped
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.store.finish import CatalogInfo, finish_catalog
from lsdb_ts.store.hats import WORK, read_properties
from lsdb_ts.store.journal import Journal, canonical, fingerprint
from lsdb_ts.store.partition import Account, Partition, merge_accounts
from lsdb_ts.store.provenance import PROVENANCE, PROVENANCE_KEY, Provenance
from lsdb_ts.store.write import Leaf, LeafFile, Unflushed, leaf_path, remove_leftovers

_PIECES_PER_CORE = 16
_SMALL_PIECE, _LARGEST_PIECE = 4, 128
_RETRIES = 1
_NOTHING_KEPT = "stopped; nothing was kept, so the same call starts anew (write keeps what is done)"
_FINGERPRINT = "lsdb_ts_plan"
_ACCOUNT = "lsdb_ts_account"


@dataclass(frozen=True, eq=False)
class Work:
    """What every worker is told once: the plan and what is wanted of it. A task then is a range of pixels."""

    node: Node
    demand: Demand
    quick: bool = False
    """Whether it is so little that pixels are not dealt out, if they can be one piece."""
    most_bytes: float = math.inf
    """Memory that computing a pixel may take; one that is expected to take more is computed in finer ones."""


@dataclass(frozen=True, eq=False)
class Result:
    """The rows of a computed plan, and what its nodes counted."""

    table: pa.Table
    account: Account


def compute(node: Node, demand: Demand, progress: bool | None = None) -> Result:
    """Compute a plan into memory.

    Raises
    ------
    PlanError
        The demand cannot be met, or a piece of work does not fit the memory of a worker.
    RunError
        Some pixels failed; the message names the first, ``failures`` all of them.
    """
    check(node, demand)
    budget = check_budget(node, demand)
    work = Work(node, demand, is_quick(node, demand, budget), budget.most_bytes)
    schema = output_schema(node, demand)
    tables: dict[int, pa.Table] = {}
    accounts, failures = [], []
    with desk() as at:
        task = partial(_computed, schema=schema, at=at)
        for i, value in _run(work, task, range(len(demand.pixels)), "compute", progress, _NOTHING_KEPT):
            if isinstance(value, Failure):
                failures.append(value)
            else:
                tables[i], account = take(value[0]), value[1]
                accounts.append(account)
    if failures:
        raise _run_error(failures, len(demand.pixels), "nothing was returned")
    table = pa.concat_tables([tables[i] for i in sorted(tables)]) if tables else schema.empty_table()
    return Result(table, merge_accounts(*accounts))


def first_rows(node: Node, demand: Demand, n: int) -> pa.Table:
    """Return the first rows of a plan, computing no more pixels than that takes, in this process."""
    check(node, demand)
    schema = output_schema(node, demand)
    found: list[pa.Table] = []
    missing = n
    for pixel in demand.pixels:
        if missing <= 0:
            break
        table = finished(produce(node, demand.at(pixel)).core_table(), schema)
        found.append(table.slice(0, missing))
        missing -= found[-1].num_rows
    return pa.concat_tables(found) if found else schema.empty_table()


def last_rows(node: Node, demand: Demand, n: int) -> pa.Table:
    """Return the last rows of a plan, computing no more pixels than that takes, in this process."""
    check(node, demand)
    schema = output_schema(node, demand)
    found: list[pa.Table] = []
    missing = n
    for i in range(len(demand.pixels) - 1, -1, -1):
        if missing <= 0:
            break
        pixel = demand.pixels[i]
        table = finished(produce(node, demand.at(pixel)).core_table(), schema)
        found.insert(0, table.slice(max(table.num_rows - missing, 0)))
        missing -= found[0].num_rows
    return pa.concat_tables(found) if found else schema.empty_table()


About = Callable[[CatalogInfo, Path, list[Leaf]], CatalogInfo]
"""What a folder of written leaves says of itself, where it is no catalog of rows with positions."""


def write(
    node: Node, demand: Demand, path: Path, name: str, progress: bool | None = None, about: About | None = None
) -> None:
    """Compute a plan into a HATS catalog; started again after any interruption, it does what is missing.

    Parameters
    ----------
    node, demand
        The plan, and what is wanted of it; the columns must include the positions.
    path : pathlib.Path
        Folder of the catalog: absent, empty, or left half-done by the same write.
    name : str
        Name of the catalog.
    about : callable, optional
        Returns what is written of another data product, such as an association, whose rows need no positions.

    Raises
    ------
    OutputError, ResumeError
        The folder holds something else.
    RunError
        Some pixels failed. The others are safe; the same call does just those again.
    """
    check(node, demand)
    work = Work(node, demand, most_bytes=check_budget(node, demand).most_bytes)
    positions = _written_positions(node, demand) if about is None else (None, None)
    identity = {
        "plan": identity_of(node),
        "columns": list(demand.columns),
        "pixels": fingerprint([demand.pixels.orders.tolist(), demand.pixels.numbers.tolist()]),
        "versions": {package: version(package) for package in ("lsdb_ts", "pyarrow", "numpy")},
    }
    journal = Journal(path / WORK)
    if (path / "hats.properties").exists() and not journal.exists():
        _check_written(path, fingerprint(identity))
        # What a kill left while the journal was being removed.
        shutil.rmtree(path / WORK, ignore_errors=True)
        return
    journal.begin(identity)
    done = journal.done()
    keys = [f"{p.order}/{p.number}" for p in demand.pixels]
    todo = [i for i, key in enumerate(keys) if not _is_done(done.get(key), path, demand.pixels[i])]
    schema = output_schema(node, demand)
    task = partial(_written, schema=schema, root=path)
    resume = f"stopped; what is done is safe in {path}, and the same write continues there"
    values = _run(work, task, todo, f"write {name}", progress, resume)
    failures = [value for _, value in values if isinstance(value, Failure)]
    if failures:
        raise _run_error(
            failures, len(keys), f"the others are safe in {path}; start the same write again to do just these"
        )
    done = journal.done()
    entries = [done[key] for key in keys]
    leaves = [Leaf.from_json(e["leaf"]) for e in entries if e["leaf"]]
    account = merge_accounts(*(e["account"] for e in entries))
    extra = {_FINGERPRINT: fingerprint(identity), **({_ACCOUNT: canonical(account)} if account else {})}
    remove_leftovers(path)
    asked = {"plan": identity["plan"], "columns": identity["columns"]}
    Provenance("write", asked, tuple(_inputs(node)), account).write(path)
    kind = "source" if Roles.of(schema).parent_id else "object"
    info = CatalogInfo(name, kind, schema, *positions, extra={**extra, PROVENANCE_KEY: PROVENANCE})
    finish_catalog(path, info if about is None else about(info, path, leaves), leaves)
    shutil.rmtree(path / WORK)


def _inputs(node: Node) -> Iterator[dict[str, Any]]:
    """Yield what a plan reads, each once."""
    sources = {id(n.source): n.source for n in nodes_of(node) if isinstance(n, Scan)}
    for source in sources.values():
        yield {"name": source.name, **{k: v for k, v in source.identity().items() if k != "properties"}}


def _is_done(entry: Mapping[str, Any] | None, path: Path, pixel: Pixel) -> bool:
    """Tell whether a pixel is journaled, and the file it made, if any, is still there."""
    return entry is not None and (entry["leaf"] is None or leaf_path(path, pixel).exists())


def _run(
    work: Work, task: Callable[..., Any], pixels: Iterable[int], name: str, progress: bool | None, interrupted: str
) -> Iterator[tuple[int, Any]]:
    """Yield (place in the layout, result or Failure) of each pixel, in the order they complete.

    An interrupt from the keyboard says how things stand then, instead of where a thread was waiting.
    """
    todo = np.asarray(list(pixels), dtype=np.int64)
    pieces = _pieces(work, todo, cores())
    with stage(name, todo.size, "pixels", progress) as advance:
        outcome: Outcome[tuple[int, ...], list[tuple[int, Any]]]
        try:
            for outcome in each(_piece, pieces, (work, task), describe=_piece_name, retries=_RETRIES):
                advance(len(outcome.item))
                yield from outcome.value if outcome.failure is None else _lost(outcome, work)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(interrupted) from None


def _pieces(work: Work, todo: NDArray[np.int64], n_cores: int) -> Iterator[tuple[int, ...]]:
    """Cut the pixels to do into pieces, not between pixels that share the leaf of a function.

    Pieces get smaller towards the end, so that few are handed out and yet all cores end at about the same time.
    """
    if todo.size == 0:
        return
    may_cut = np.ones(todo.size - 1, dtype=bool)
    for node in nodes_of(work.node):
        if node.unit(work.demand).pixels is not work.demand.pixels:
            leaf = node.layout.leaf_of(work.demand.pixels.starts[todo])
            may_cut &= (leaf[1:] != leaf[:-1]) | (leaf[1:] < 0)
    cuts = np.append(np.flatnonzero(may_cut) + 1, todo.size)
    most = min(max(todo.size // (_PIECES_PER_CORE * n_cores), _SMALL_PIECE), _LARGEST_PIECE)
    start = 0
    while start < todo.size:
        size = _LARGEST_PIECE if work.quick else min(most, -(-(todo.size - start) // (2 * n_cores)))
        stop = int(cuts[min(np.searchsorted(cuts, start + size), cuts.size - 1)])
        yield tuple(todo[start:stop].tolist())
        start = stop


def _lost(outcome: Outcome[tuple[int, ...], Any], work: Work) -> Iterator[tuple[int, Failure]]:
    """Yield a failure for each pixel of a piece whose worker died."""
    assert outcome.failure is not None
    for i in outcome.item:
        yield i, replace(outcome.failure, item=str(work.demand.pixels[i]))


def _piece_name(piece: tuple[int, ...]) -> str:
    return f"pixels {piece[0]} to {piece[-1]} of the plan"


def _piece(shared: tuple[Work, Callable[..., Any]], piece: tuple[int, ...]) -> list[tuple[int, Any]]:
    """Do some pixels, each on its own: one that fails is tried again, then reported, and costs the others nothing.

    Of those written, all but the last wait for the disk while the next one is computed.
    """
    work, task = shared
    results: list[tuple[int, Any]] = []
    shelf = Shelf(work.demand.pixels)
    with ThreadPoolExecutor(1, thread_name_prefix="disk") as disk:
        for i in piece:
            if stopped():
                break
            pixel = work.demand.pixels[i]
            for _ in range(1 + _RETRIES):
                try:
                    value = task(_parts(work, pixel, shelf), pixel)
                    break
                except Exception as error:
                    value = _failed(pixel, error)
            later = isinstance(value, Written) and i != piece[-1]
            results.append((i, disk.submit(value.keep) if later else value))
    return [(i, _kept(value, work.demand.pixels[i])) for i, value in results]


def _parts(work: Work, pixel: Pixel, shelf: Shelf) -> Iterator[Partition]:
    """Yield the rows of a pixel: at once, or one finer pixel after another."""
    demand = work.demand.at(pixel)
    for part in [pixel] if work.most_bytes == math.inf else fitting(work.node, demand, work.most_bytes):
        yield produce(work.node, demand.at(part), shelf)


def _kept(value: Any, pixel: Pixel) -> Any:
    """Return what a pixel gave, once what was written of it is on disk; a disk that failed is not tried again."""
    try:
        if isinstance(value, Written):
            return value.keep()
        return value.result() if isinstance(value, Future) else value
    except Exception as error:
        return _failed(pixel, error)


def _failed(pixel: Pixel, error: Exception) -> Failure:
    return Failure(str(pixel), f"{type(error).__name__}: {error}", traceback.format_exc())


def _computed(
    parts: Iterable[Partition], pixel: Pixel, schema: pa.Schema, at: Desk | None = None
) -> tuple[pa.Table | Left, Account]:
    tables, accounts = zip(*((finished(part.core_table(), schema), part.account) for part in parts), strict=True)
    table = pa.concat_tables(tables)
    return (table if at is None else at.leave(table)), merge_accounts(*accounts)


@dataclass(frozen=True)
class Written:
    """The rows of a pixel, written; neither flushed to disk nor journaled yet."""

    journal: Journal
    key: str
    file: Unflushed | None
    """None if there are no rows."""
    account: Account

    def keep(self) -> None:
        """Flush them, then journal them."""
        leaf = None if self.file is None else self.file.flush().to_json()
        self.journal.record(self.key, {"leaf": leaf, "account": dict(self.account)})


def _written(parts: Iterable[Partition], pixel: Pixel, schema: pa.Schema, root: Path) -> Written:
    accounts = []
    with LeafFile(root, pixel) as file:
        for part in parts:
            file.add_rows(finished(part.core_table(), schema))
            accounts.append(part.account)
        made = file.close() if file.rows else None
    return Written(Journal(root / WORK), f"{pixel.order}/{pixel.number}", made, merge_accounts(*accounts))


def finished(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the rows with the columns in the order, and with the units and roles, that the plan promises."""
    if len(schema) == 0:
        return table.select([])
    columns = [c if c.type == f.type else c.cast(f.type) for f in schema for c in [table.column(f.name)]]
    return pa.table(columns, schema=schema)


def _written_positions(node: Node, demand: Demand) -> tuple[str, str]:
    if node.positions is None or HEALPIX not in demand.columns:
        raise PlanError(
            f"{node.name} has no positions left, and a HATS catalog is ordered by them: let the function of "
            f"map_partitions keep its frame's index and coordinates, or write plain Parquet with "
            f".to_dask().to_parquet(...)"
        )
    missing = [name for name in node.positions if name not in demand.columns]
    if missing:
        raise PlanError(
            f'a HATS catalog holds its positions, and "{missing[0]}" was not selected: select it too, for instance '
            f"catalog[[..., {', '.join(map(repr, node.positions))}]].write(...)"
        )
    return node.positions


def _check_written(path: Path, plan: str) -> None:
    """Raise OutputError if the finished catalog is not of this plan."""
    properties = read_properties(path / "hats.properties")
    if properties.get(_FINGERPRINT) != plan:
        raise OutputError(
            f"{path} already holds the finished catalog {properties.get('obs_collection')}: name another folder, or "
            "remove it"
        )


def _run_error(failures: list[Failure], total: int, state: str) -> RunError:
    first = failures[0]
    return RunError(
        f"{len(failures)} of {total} partitions failed; {state}. The first was {first.item}: {first.error}", failures
    )

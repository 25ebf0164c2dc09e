"""The work of the benchmarks as lsdb_ts does it."""

import functools
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import side_curves
from meter import Measured, measured, order_free_hash, pickled_bytes, serve


def repartition(files: list, out: str, max_rows: int, margin_arcsec: float, phases: bool = False) -> Measured:
    """Make a collection with its margin, on all local cores; on request tell where the time of each thread went."""
    from partitioner import Survey

    survey = Survey.of_single_table(files, "ra", "dec", max_rows=max_rows, margin_arcsec=margin_arcsec)
    return _repartitioned(survey, out, phases)


def nest(objects: list, sources: list, out: str, max_rows: int, margin_arcsec: float) -> Measured:
    """Make a collection of objects with their light curves from tables of both."""
    from partitioner import Survey, Table
    from partitioner.surveys.survey import Nested, Roles

    parent = Table(
        "object",
        tuple(objects),
        Roles(id="objectId", ra="ra", dec="dec"),
        max_rows=max_rows,
        margin_arcsec=margin_arcsec,
        nest=(Nested("source", "lc"),),
    )
    child = Table("source", tuple(sources), Roles(id="sourceId", parent_id="objectId", time="mjd"))
    return _repartitioned(Survey("nested", (parent, child)), out)


def _repartitioned(survey, out: str, phases: bool = False) -> Measured:
    from partitioner import run

    shutil.rmtree(out, ignore_errors=True)
    with ExitStack() as watches:
        scratch = watches.enter_context(_scratch_files(out))
        if phases:
            from phases import clock

            clocked = watches.enter_context(clock())
        counts = watches.enter_context(_counted("threads"))
        with measured() as found:
            run(survey, out, show=False)
    found.tasks, found.scratch_files = counts["tasks"], scratch[0]
    found.phases = clocked.seconds if phases else {}
    return found


def layout(counts: str, max_rows: int) -> Measured:
    """Choose the pixels of a catalog from the rows in each cell of one order."""
    import numpy as np

    from lsdb_ts.sky import Layout

    rows = np.load(counts)
    cells = np.flatnonzero(rows)
    order = (rows.size // 12).bit_length() // 2
    with measured() as found:
        made = Layout.from_counts(cells, rows[cells], order, max_rows)
    found.rows = len(made)
    return found


@contextmanager
def _scratch_files(out: str) -> Iterator[list[int]]:
    """Count the most scratch files there are at a time, looking now and then."""
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.2):
            work = Path(out) / ".lsdb_ts"
            with suppress(OSError):
                most[0] = max(most[0], sum(path.suffix == ".arrow" for path in work.rglob("*.arrow")))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        stop.set()
        watcher.join()


def compute(
    left: str, right: str, radius_arcsec: float, columns: list | None, mode: str, workers: int, count: bool = False
) -> Measured:
    """Crossmatch into memory; on request count the bytes of the column chunks that were read."""
    _start(mode, workers)
    reads = []
    with _counted(mode) as counts, measured() as found:
        if count:
            from lsdb_ts.store.read import recording

            with recording() as reads:
                result = _pairs(left, right, radius_arcsec, columns).compute()
        else:
            result = _pairs(left, right, radius_arcsec, columns).compute()
    found.tasks, found.bytes_pickled = counts["tasks"], counts["bytes_pickled"]
    found.bytes_chosen = sum(read.bytes for read in reads) if count else None
    found.rows = len(result)
    if {"id_a", "id_b"} <= set(result.columns):
        found.check = order_free_hash(result["id_a"], result["id_b"])
    return found


def write(
    left: str, right: str, radius_arcsec: float, columns: list | None, mode: str, workers: int, out: str
) -> Measured:
    """Crossmatch into a catalog on disk."""
    shutil.rmtree(out, ignore_errors=True)
    _start(mode, workers)
    with _counted(mode) as counts, measured() as found:
        _pairs(left, right, radius_arcsec, columns).write(out)
    found.tasks, found.bytes_pickled = counts["tasks"], counts["bytes_pickled"]
    return found


def positions(
    positions: str, catalogs: list, radius_arcsec: float, made: bool = False, asked_before: int = 0
) -> Measured:
    """Match a table of positions with catalogs that are open already, all at once, and count what is read.

    That a catalog is made of the table counts, too, unless it is ``made`` already. The question may be asked some times
    right before: a processor that has just answered it holds what it takes.
    """
    from pyarrow.parquet import read_table

    table = None if made else read_table(positions)
    if made:
        _seen(positions)

    def answer() -> int:
        import lsdb_ts as lt

        seen = _seen(positions) if made else lt.from_dataframe(table, name="seen")
        pairs = lt.crossmatch([seen, *(_opened(c) for c in catalogs)], radius_arcsec=radius_arcsec)
        return len(pairs[[c for c in pairs.columns if c.startswith(("id", "_dist"))]].compute())

    for _ in range(asked_before):
        answer()
    with _chosen_bytes() as found:
        found.rows = answer()
    return found


def lightcurve(survey: str, id: int) -> Measured:
    """Look up one object of a catalog that is open already, light curve and all."""
    with _chosen_bytes() as found:
        found.rows = _opened(survey).loc_ids([id], missing="ignore").to_arrow().num_rows
    return found


@functools.cache
def _seen(positions: str):
    from pyarrow.parquet import read_table

    import lsdb_ts as lt

    return lt.from_dataframe(read_table(positions), name="seen")


@functools.cache
def _opened(path: str):
    import lsdb_ts as lt

    return lt.open_catalog(path)


@contextmanager
def _chosen_bytes() -> Iterator[Measured]:
    """Time a question, with the row groups and bytes of column chunks that our store reads for it."""
    with measured() as found:
        from lsdb_ts.store.read import recording

        with recording() as reads:
            yield found
    found.tasks = len({(read.path, group) for read in reads for group in read.row_groups})
    found.bytes_chosen = sum(read.bytes for read in reads)


def _pairs(left: str, right: str, radius_arcsec: float, columns: list | None):
    import lsdb_ts as lt

    pairs = lt.open_catalog(left).crossmatch(lt.open_catalog(right), radius_arcsec=radius_arcsec, suffixes=("_a", "_b"))
    return pairs if columns is None else pairs[columns]


@functools.cache
def _client(workers: int):
    """Start the workers once, outside of what is measured."""
    from distributed import Client

    return Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)


def _start(mode: str, workers: int) -> None:
    if mode == "distributed":
        _client(workers)


@contextmanager
def _counted(mode: str) -> Iterator[dict]:
    """Count the pieces of work given to a scheduler or a pool of threads, and what is pickled for them."""
    counts = {"tasks": 0, "bytes_pickled": None}
    if mode == "distributed":
        from distributed import default_client, get_task_stream

        with get_task_stream(default_client()) as stream, pickled_bytes() as sizes:
            yield counts
        counts.update(tasks=len(stream.data), bytes_pickled=sum(sizes))
        return
    submit = ThreadPoolExecutor.submit

    def counting(pool, function, /, *arguments, **options):
        counts["tasks"] += pool._thread_name_prefix.startswith("lsdb_ts")
        return submit(pool, function, *arguments, **options)

    ThreadPoolExecutor.submit = counting
    try:
        yield counts
    finally:
        ThreadPoolExecutor.submit = submit


if __name__ == "__main__":
    own = (repartition, nest, layout, compute, write, positions, lightcurve)
    serve({job.__name__: job for job in (*own, *side_curves.JOBS)})

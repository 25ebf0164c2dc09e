"""The work of the benchmarks as LSDB and hats-import do it, in their own environment."""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from meter import Measured, measured, order_free_hash, pickled_bytes, serve

ZSTD_3 = {"compression": "zstd", "compression_level": 3}


def repartition(files: list, out: str, max_rows: int, margin_arcsec: float, zstd: bool) -> Measured:
    """Import a collection with its margin, on one worker process a core, as its documentation proposes."""
    from hats_import import CollectionArguments, pipeline_with_client

    shutil.rmtree(out, ignore_errors=True)
    style = {"write_table_kwargs": ZSTD_3} if zstd else {}
    client = _client(os.cpu_count())
    with _scratch_files(out) as scratch, _counted("distributed") as counts, measured() as found:
        made = CollectionArguments(
            output_artifact_name=Path(out).name, output_path=Path(out).parent, progress_bar=False
        ).catalog(input_file_list=files, file_reader="parquet", pixel_threshold=max_rows, **style)
        if margin_arcsec > 0:
            made = made.add_margin(margin_threshold=margin_arcsec, is_default=True, **style)
        pipeline_with_client(made, client)
    found.tasks, found.scratch_files = counts["tasks"], scratch[0]
    return found


def nest(objects: str, sources: str, out: str, zstd: bool, in_time: bool) -> Measured:
    """Join the sources of two catalogs to their objects, and write them; on request each curve in order of time."""
    import lsdb

    shutil.rmtree(out, ignore_errors=True)
    _client(os.cpu_count())
    style = {"write_table_kwargs": ZSTD_3} if zstd else {}
    with _counted("distributed") as counts, measured() as found:
        nested = lsdb.open_catalog(objects, columns="all").join_nested(
            lsdb.open_catalog(sources, columns="all"),
            left_on="objectId",
            right_on="objectId",
            nested_column_name="lc",
            how="left",
        )
        if in_time:
            nested = nested.map_partitions(_in_time)
        nested.write_catalog(out, progress_bar=False, **style)
    found.tasks = counts["tasks"]
    return found


def _in_time(objects):
    return objects.sort_values("lc.mjd") if len(objects) else objects


def layout(counts: str, max_rows: int) -> Measured:
    """Choose the pixels of a catalog from the rows in each cell of one order."""
    import hats.pixel_math as hist
    import numpy as np

    rows = np.load(counts)
    order = (rows.size // 12).bit_length() // 2
    with measured() as found:
        made = hist.generate_alignment(rows, highest_order=order, lowest_order=0, threshold=max_rows)
    found.rows = len({pixel for pixel in made if pixel is not None})
    return found


@contextmanager
def _scratch_files(out: str) -> Iterator[list[int]]:
    """Count the most scratch files of rows there are at a time, looking now and then."""
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(1.0):
            with suppress(OSError):
                most[0] = max(most[0], sum("intermediate" in str(path) for path in Path(out).rglob("*.parquet")))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        stop.set()
        watcher.join()


def compute(
    left: str, right: str, radius_arcsec: float, columns: list | None, mode: str, workers: int, named: str
) -> Measured:
    """Crossmatch into memory; ``named`` is when columns are named: on "opening", or "after" the match."""
    _start(mode, workers)
    with _counted(mode) as counts, measured() as found:
        result = _pairs(left, right, radius_arcsec, columns, named).compute(progress_bar=False)
    found.tasks, found.bytes_pickled = counts["tasks"], counts["bytes_pickled"]
    found.rows = len(result)
    if {"id_a", "id_b"} <= set(result.columns):
        found.check = order_free_hash(result["id_a"], result["id_b"])
    return found


def write(
    left: str, right: str, radius_arcsec: float, columns: list | None, mode: str, workers: int, out: str, zstd: bool
) -> Measured:
    """Crossmatch into a catalog on disk, with the columns named on opening."""
    shutil.rmtree(out, ignore_errors=True)
    style = {"write_table_kwargs": ZSTD_3} if zstd else {}
    _start(mode, workers)
    with _counted(mode) as counts, measured() as found:
        pairs = _pairs(left, right, radius_arcsec, columns, "opening")
        pairs.write_catalog(out, progress_bar=False, **style)
    found.tasks, found.bytes_pickled = counts["tasks"], counts["bytes_pickled"]
    return found


def positions(positions: str, catalogs: list, radius_arcsec: float) -> Measured:
    """Match a table of positions with catalogs that are open already."""
    import pandas as pd

    table = pd.read_parquet(positions)
    with _counted("threads"), measured() as found:
        import lsdb

        seen = lsdb.from_dataframe(table, ra_column="ra", dec_column="dec", margin_threshold=None)
        for catalog in catalogs:
            pairs = seen.crossmatch(
                _catalog(catalog), radius_arcsec=radius_arcsec, suffixes=("_a", "_b"), suffix_method="all_columns"
            )
            found.rows += len(pairs.compute(progress_bar=False))
    return found


def lightcurve(survey: str, id: int) -> Measured:
    """Look up one object: by a condition, which is what there is without an index of ids."""
    with _counted("threads"), measured() as found:
        found.rows = len(_catalog(survey).query(f"objectId == {id}").compute(progress_bar=False))
    return found


@functools.cache
def _catalog(path: str):
    import lsdb

    return lsdb.open_catalog(path, columns="all")


def _pairs(left: str, right: str, radius_arcsec: float, columns: list | None, named: str):
    import lsdb

    opened = [_opened(columns, suffix) if named == "opening" else "all" for suffix in ("_a", "_b")]
    pairs = lsdb.open_catalog(left, columns=opened[0]).crossmatch(
        lsdb.open_catalog(right, columns=opened[1]),
        radius_arcsec=radius_arcsec,
        suffixes=("_a", "_b"),
        suffix_method="all_columns",
    )
    return pairs if columns is None else pairs[columns]


def _opened(columns: list | None, suffix: str):
    return "all" if columns is None else [c.removesuffix(suffix) for c in columns if c.endswith(suffix)]


@functools.cache
def _client(workers: int):
    """Start the workers once, outside of what is measured."""
    from dask.distributed import Client

    return Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)


def _start(mode: str, workers: int) -> None:
    if mode == "distributed":
        _client(workers)


@contextmanager
def _counted(mode: str) -> Iterator[dict]:
    """Count the tasks that a scheduler runs, and what is pickled for them."""
    counts = {"tasks": 0, "bytes_pickled": None}
    if mode == "distributed":
        from dask.distributed import default_client, get_task_stream

        with get_task_stream(default_client()) as stream, pickled_bytes() as sizes:
            yield counts
        counts.update(tasks=len(stream.data), bytes_pickled=sum(sizes))
        return
    import dask
    from dask.callbacks import Callback

    def add(*_) -> None:
        counts["tasks"] += 1

    with Callback(posttask=add), dask.config.set(scheduler="threads"):
        yield counts


if __name__ == "__main__":
    serve({job.__name__: job for job in (repartition, nest, layout, compute, write, positions, lightcurve)})

"""The work of the benchmark as LSDB and hats-import do it, in their own environment. See peers.py."""

import functools
import os
import shutil
from pathlib import Path

from meter import Measured, Meter, order_free_hash, serve

ZSTD_3 = {"compression": "zstd", "compression_level": 3}


def repartition(files: list, out: str, max_rows: int, margin_arcsec: float, zstd: bool) -> Measured:
    """Import a collection with its margin, on one worker process a core, as its documentation proposes."""
    from dask.distributed import get_task_stream
    from hats_import import CollectionArguments, pipeline_with_client

    shutil.rmtree(out, ignore_errors=True)
    style = {"write_table_kwargs": ZSTD_3} if zstd else {}
    client = _client()
    with get_task_stream(client) as stream, Meter() as meter:
        made = (
            CollectionArguments(output_artifact_name=Path(out).name, output_path=Path(out).parent, progress_bar=False)
            .catalog(input_file_list=files, file_reader="parquet", pixel_threshold=max_rows, **style)
            .add_margin(margin_threshold=margin_arcsec, is_default=True, **style)
        )
        pipeline_with_client(made, client)
    meter.measured.tasks = len(stream.data)
    return meter.measured


@functools.cache
def _client():
    """Start the workers once, outside of what is measured."""
    from dask.distributed import Client

    return Client(n_workers=os.cpu_count(), threads_per_worker=1, dashboard_address=None)


def crossmatch(left: str, right: str, radius_arcsec: float, columns: list | None) -> Measured:
    import dask

    pairs = _pairs(left, right, radius_arcsec)
    with Meter() as meter, dask.config.set(scheduler="threads"), _Count() as count:
        result = (pairs if columns is None else pairs[columns]).compute(progress_bar=False)
    meter.measured.tasks = count.tasks
    meter.measured.rows = len(result)
    meter.measured.check = order_free_hash(result["id_a"], result["id_b"])
    return meter.measured


def write(left: str, right: str, radius_arcsec: float, out: str, zstd: bool) -> Measured:
    import dask

    shutil.rmtree(out, ignore_errors=True)
    style = {"write_table_kwargs": ZSTD_3} if zstd else {}
    with Meter() as meter, dask.config.set(scheduler="threads"), _Count() as count:
        _pairs(left, right, radius_arcsec).write_catalog(out, progress_bar=False, **style)
    meter.measured.tasks = count.tasks
    return meter.measured


def _pairs(left: str, right: str, radius_arcsec: float):
    import lsdb

    return lsdb.open_catalog(left, columns="all").crossmatch(
        lsdb.open_catalog(right, columns="all"),
        radius_arcsec=radius_arcsec,
        suffixes=("_a", "_b"),
        suffix_method="all_columns",
    )


class _Count:
    """Count the tasks that dask's local scheduler runs."""

    def __enter__(self) -> "_Count":
        from dask.callbacks import Callback

        self.tasks = 0
        self._callback = Callback(posttask=self._add)
        self._callback.register()
        return self

    def _add(self, *_) -> None:
        self.tasks += 1

    def __exit__(self, *_) -> None:
        self._callback.unregister()


if __name__ == "__main__":
    serve({job.__name__: job for job in (repartition, crossmatch, write)})

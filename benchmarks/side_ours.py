"""The work of the benchmark as lsdb_ts does it. See peers.py."""

import shutil

from meter import Measured, Meter, order_free_hash, serve


def repartition(files: list, out: str, max_rows: int, margin_arcsec: float) -> Measured:
    """Make a collection with its margin, on all local cores."""
    from partitioner import Survey, run

    shutil.rmtree(out, ignore_errors=True)
    with _Count() as count, Meter() as meter:
        account = run(Survey.of_single_table(files, "ra", "dec", max_rows, margin_arcsec), out, show=False)
    assert account is not None
    meter.measured.tasks = count.tasks
    return meter.measured


def crossmatch(left: str, right: str, radius_arcsec: float, columns: list | None) -> Measured:
    pairs = _pairs(left, right, radius_arcsec)
    with _Count() as count, Meter() as meter:
        result = (pairs if columns is None else pairs[columns]).compute()
    meter.measured.tasks = count.tasks
    meter.measured.rows = len(result)
    meter.measured.check = order_free_hash(result["id_a"], result["id_b"])
    return meter.measured


def write(left: str, right: str, radius_arcsec: float, out: str) -> Measured:
    shutil.rmtree(out, ignore_errors=True)
    with _Count() as count, Meter() as meter:
        _pairs(left, right, radius_arcsec).write(out)
    meter.measured.tasks = count.tasks
    return meter.measured


def _pairs(left: str, right: str, radius_arcsec: float):
    import lsdb_ts as lt

    return lt.open_catalog(left).crossmatch(lt.open_catalog(right), radius_arcsec=radius_arcsec, suffixes=("_a", "_b"))


class _Count:
    """Count the pieces of work that the pool hands out."""

    def __enter__(self) -> "_Count":
        from lsdb_ts.run import pool

        self.tasks = 0
        self._pool, self._attempt = pool, pool._attempt
        pool._attempt = self._counted
        return self

    def _counted(self, *arguments):
        self.tasks += 1
        return self._attempt(*arguments)

    def __exit__(self, *_) -> None:
        self._pool._attempt = self._attempt


if __name__ == "__main__":
    serve({job.__name__: job for job in (repartition, crossmatch, write)})

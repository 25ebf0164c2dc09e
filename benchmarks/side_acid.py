"""The crossmatch as pyacid does it, in its own environment. See crossmatch.py."""

import functools
import shutil
from pathlib import Path

from meter import Measured, measured, order_free_hash, serve


def compute(left: str, right: str, radius_arcsec: float, columns: list | None, workers: int) -> Measured:
    with measured() as found:
        result = _pairs(left, right, radius_arcsec, columns, workers).to_arrow()
    found.rows = result.num_rows
    found.check = order_free_hash(result["id"], result["id_b"])
    return found


def write(left: str, right: str, radius_arcsec: float, columns: list | None, workers: int, out: str) -> Measured:
    shutil.rmtree(out, ignore_errors=True)
    with measured() as found:
        _pairs(left, right, radius_arcsec, columns, workers).save(out, overwrite=True)
    return found


@functools.cache
def _connection(folders: tuple, workers: int):
    """Connect; its worker processes start with the first query and stay."""
    import acid

    return acid.Connection([str(f) for f in folders], workers=workers, progress=False)


def _pairs(left: str, right: str, radius_arcsec: float, columns: list | None, workers: int):
    import astropy.units as u

    db = _connection(tuple(dict.fromkeys((Path(left).parent, Path(right).parent))), workers)
    pairs = db.open(left, alias="a").crossmatch(
        db.open(right, alias="b"), radius=radius_arcsec * u.arcsec, dist_col="_dist_arcsec", suffix="_b"
    )
    if columns is None:
        return pairs
    # The left side's names carry no suffix here.
    return pairs.select(*(c.removesuffix("_a") for c in columns))


if __name__ == "__main__":
    serve({job.__name__: job for job in (compute, write)})

"""Damage that the peers' own checks pass and ours name: swapped and reversed rows, garbage, a lost or moved row."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.hats import HatsCatalog, open_hats
from partitioner import verify

pytestmark = pytest.mark.peers


def largest(catalog: HatsCatalog) -> list[Path]:
    files = [catalog.leaf_path(pixel) for pixel in catalog.layout]
    return sorted(files, key=lambda path: pq.read_metadata(path).num_rows, reverse=True)


def swapped(catalog: HatsCatalog) -> None:
    """Exchange two partitions with as many rows, so that all counts agree."""
    sizes: dict[int, Path] = {}
    for path in largest(catalog):
        other = sizes.setdefault(pq.read_metadata(path).num_rows, path)
        if other != path:
            content = path.read_bytes()
            path.write_bytes(other.read_bytes())
            other.write_bytes(content)
            return
    raise AssertionError("no two partitions have as many rows")


def reversed_rows(catalog: HatsCatalog) -> None:
    path = largest(catalog)[0]
    rows = pq.read_table(path)
    pq.write_table(rows.take(pa.array(np.arange(rows.num_rows)[::-1])), path)


def garbage_in_the_pages(catalog: HatsCatalog) -> None:
    path = largest(catalog)[0]
    chunk = pq.read_metadata(path).row_group(0).column(3)
    content = bytearray(path.read_bytes())
    stop = chunk.data_page_offset + chunk.total_compressed_size
    content[stop - 40 : stop] = b"\xff" * 40
    path.write_bytes(content)


def a_row_in_another_pixel(catalog: HatsCatalog) -> None:
    one, two = largest(catalog)[:2]
    rows, others = pq.read_table(one), pq.read_table(two)
    moved = rows.slice(0, 1)
    pq.write_table(pa.concat_tables([rows.slice(1), others.slice(0, 1)]).sort_by(HEALPIX), one)
    pq.write_table(pa.concat_tables([others.slice(1), moved]).sort_by(HEALPIX), two)


def a_margin_row_of_another_place(catalog: HatsCatalog) -> None:
    assert catalog.margin is not None
    path = largest(catalog.margin)[0]
    rows = pq.read_table(path)
    pq.write_table(rows.take(pa.array([*range(rows.num_rows - 1), 0])).sort_by(HEALPIX), path)


DAMAGE: dict[str, Callable[[HatsCatalog], None]] = {
    "does not lie in": swapped,
    f"is not sorted by {HEALPIX}": reversed_rows,
    "cannot be read": garbage_in_the_pages,
    "does not lie": a_row_in_another_pixel,
    "the margin of": a_margin_row_of_another_place,
}


@pytest.fixture(scope="module")
def damaged(ours, peer, tmp_path_factory) -> dict[str, tuple[Path, list[dict]]]:
    """Damage one catalog of ours in each way, and ask the peers for their verdict, all in one process."""
    folder = tmp_path_factory.mktemp("damaged")
    jobs, made = [], {}
    for what, damage in DAMAGE.items():
        out = folder / damage.__name__
        shutil.copytree(ours.left, out)
        damage(open_hats(out))
        made[what] = out
        jobs += [{"job": "validate", "path": str(out)}, {"job": "verify", "path": str(out), "out": str(folder)}]
    reports = peer.run(*jobs)
    return {what: (out, reports[2 * i : 2 * i + 2]) for i, (what, out) in enumerate(made.items())}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_the_peers_pass_is_named(damaged, what):
    out, (by_hats, by_hats_import) = damaged[what]
    assert by_hats["valid"], by_hats
    assert by_hats_import["passed"], by_hats_import

    faults = verify(out).faults

    assert any(what in str(fault) for fault in faults), faults

"""A single flipped bit anywhere in a finished collection: verify finds it, and no read takes it for data.

A few of them each time; ``LSDB_TS_FLIPS=1000 pytest -s`` for many, with what was found in each kind of file.
"""

import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import LsdbTsError
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.index_writer import build_index
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.seal import SEAL_BYTES, footer_size
from lsdb_ts.store.sidecar_writer import build_sidecar
from partitioner import Survey, run, verify

N_FLIPS = int(os.environ.get("LSDB_TS_FLIPS", "60"))
READ_ERRORS = (LsdbTsError, OSError, pa.ArrowException)
"""What a read may raise; anything else is a fault of ours."""


@pytest.fixture(scope="module")
def collection(make_raw, tmp_path_factory) -> Path:
    """A collection with all kinds of files: margins, light curves, orphans, an index, a sidecar, an account."""
    folder = tmp_path_factory.mktemp("flips")
    raw = make_raw(folder / "raw", n=100, max_rows=60, seed=4)
    run(Survey.read(raw.folder / "survey.toml"), folder / "sim")
    build_index(folder / "sim", "objectId")
    build_sidecar(folder / "sim")
    return folder / "sim"


def kind_of(name: str) -> str:
    path = Path(name)
    if path.suffix == ".arrow":
        return "sidecar"
    if "_index" in path.parts[-3 if path.name.startswith("_") else 0] or "objectId_index" in name:
        return f"index: {'rows' if path.suffix == '.parquet' else path.name}"
    if path.name.startswith("Npix="):
        return "margin rows" if "arcs/" in name else "rows"
    if path.parts[0] in ("orphans", "refused"):
        return "rows set aside"
    return path.name


def flips(root: Path, n: int, seed: int = 8) -> list[tuple[str, int]]:
    """Draw (file, bit): kinds of files alike often, and within a Parquet file its footer as often as all before it."""
    rng = np.random.default_rng(seed)
    by_kind: dict[str, list[Path]] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        by_kind.setdefault(kind_of(path.relative_to(root).as_posix()), []).append(path)
    kinds = sorted(by_kind)
    found = []
    for i in range(n):
        # Rows are what a catalog is for: half of all flips.
        kind = "rows" if i % 2 else kinds[(i // 2) % len(kinds)]
        path = by_kind[kind][rng.integers(len(by_kind[kind]))]
        content = path.read_bytes()
        first = 0
        if content[:4] == b"PAR1" and rng.random() < 0.5:
            first = len(content) - footer_size(content) - SEAL_BYTES
        found.append((path.relative_to(root).as_posix(), int(rng.integers(8 * first, 8 * len(content)))))
    return found


class Flipped:
    """A context in which one bit of a file is another; the file is as old as before afterwards."""

    def __init__(self, path: Path, bit: int) -> None:
        self.path, self.content, self.times = path, path.read_bytes(), path.stat()
        self.damaged = bytearray(self.content)
        self.damaged[bit // 8] ^= 1 << bit % 8

    def __enter__(self) -> None:
        self.path.write_bytes(self.damaged)

    def __exit__(self, *_) -> None:
        self.path.write_bytes(self.content)
        os.utime(self.path, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))


def everything(root: Path) -> dict[str, pa.Table]:
    """Read all rows by ordinary means: catalogs, margins, an id by its index, rows set aside."""
    found = {}
    for folder in (root, root / "source"):
        catalog = lt.open_catalog(folder)
        found[catalog.name] = catalog.to_arrow(progress=False)
        margin = open_hats(folder).margin
        leaves = [read_rows(f, margin.schema.names) for p in margin.layout for f in margin.leaf_files(p)]
        found[margin.name] = pa.concat_tables(leaves)
    objects = lt.open_catalog(root)
    some = found[objects.name].column("objectId")[5].as_py()
    found["by id"] = objects.loc_ids([some]).to_arrow(progress=False)
    for path in sorted(root.glob("orphans/*.parquet")):
        found[path.name] = read_rows(path, footer(path).schema.names)
    return found


@pytest.fixture(scope="module")
def sound(collection) -> dict[str, pa.Table]:
    assert verify(collection).ok, verify(collection).faults
    return everything(collection)


def test_every_flipped_bit_is_found_by_verify_and_none_is_read_as_data(collection, sound, capsys):
    told: Counter[tuple[str, str]] = Counter()
    missed, wrong = [], []
    for name, bit in flips(collection, N_FLIPS):
        with Flipped(collection / name, bit):
            report = verify(collection)
            told[kind_of(name), "found by verify"] += not report.ok
            if report.ok or not any(name in fault.file or name in fault.what for fault in report.faults):
                missed.append((name, bit, [str(fault) for fault in report.faults]))
            try:
                same = everything(collection)
            except READ_ERRORS:
                told[kind_of(name), "refused by reads"] += 1
            else:
                is_same = all(same[key].equals(table) for key, table in sound.items())
                told[kind_of(name), "without effect" if is_same else "WRONG"] += 1
                wrong += [] if is_same else [(name, bit)]
        told[kind_of(name), "flips"] += 1
    with capsys.disabled() if N_FLIPS > 60 else nullcontext():
        for kind in sorted({kind for kind, _ in told}):
            print(kind, {what: n for (k, what), n in sorted(told.items()) if k == kind})
    assert not wrong
    assert not missed
    assert verify(collection).ok

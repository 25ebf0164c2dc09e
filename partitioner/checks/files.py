"""Files of a catalog that no partition is kept in: whether they are whole, and none is there too many or too few.

What the catalog-wide ones tell is held against the rows next door.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.provenance import PROVENANCE
from lsdb_ts.store.seal import broken_seal, text_is_sound
from lsdb_ts.store.sidecar import FOLDER, LISTING
from lsdb_ts.store.skymap import SKYMAPS, fits_is_sound
from partitioner.checks.fault import AGAIN, NOTHING, Fault
from partitioner.checks.subject import Subject, name_of

PROPERTIES = ("hats.properties", "properties")
COLLECTION = "collection.properties"
_METADATA = ("dataset/_common_metadata", "dataset/_metadata")
_KNOWN = {*PROPERTIES, *SKYMAPS, *_METADATA, "partition_info.csv", f"{FOLDER}/{LISTING}", PROVENANCE}
_COARSER = re.compile(r"skymap\.[0-9]+\.fits")
_DAMAGED = "is not what was written: its checksum differs"
_SIDECAR = "build it again: lsdb-ts sidecar "
_BARE = "has no checksum, as every file that lsdb_ts writes has"


def text_faults(path: Path, file: str, way_out: str = AGAIN, *, is_ours: bool) -> Iterator[Fault]:
    """Hold a property file or a JSON file against its checksum."""
    try:
        sound = text_is_sound(path.read_bytes())
    except OSError as error:
        yield Fault(file, None, f"the file cannot be read: {error}", way_out=way_out)
        return
    if sound is False or (sound is None and is_ours):
        yield Fault(file, None, _BARE if sound is None else _DAMAGED, way_out=way_out)


def parquet_faults(path: Path, file: str, *, is_ours: bool, rows: bool = True) -> Iterator[Fault]:
    """Read a whole Parquet file, row group by row group; of ours, hold all bytes against their checksums."""
    try:
        found = footer(path)
        if rows:
            with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as opened:
                for g in range(len(found)):
                    opened.read_row_group(g, use_threads=False)
    except (CatalogError, OSError, pa.ArrowException) as error:
        yield Fault(file, None, f"the file cannot be read: {reason(error, path)}")
        return
    yield from seal_faults(path, file, is_ours=is_ours)


def seal_faults(path: Path, file: str, *, is_ours: bool) -> Iterator[Fault]:
    """Hold all bytes of one of our Parquet files against their checksums."""
    broken = broken_seal(path) if is_ours else None
    if broken is not None:
        yield Fault(file, None, broken)


def reason(error: Exception, path: Path) -> str:
    """Return why a file cannot be read, without its name."""
    return str(error.__cause__ or error).removeprefix("cannot read ").replace(f"{path}: ", "")


def catalog_file_faults(subject: Subject) -> Iterator[Fault]:
    """Look at the catalog-wide files of a catalog: each whole, none missing that we write."""
    root, ours = subject.root, subject.is_exact
    for name in PROPERTIES:
        if (root / name).exists():
            yield from text_faults(root / name, subject.name_of(root / name), is_ours=ours)
    if ours:
        needed = (*PROPERTIES, "partition_info.csv", "dataset/_common_metadata", *SKYMAPS)
        for name in needed if subject.catalog.kind != "association" else needed[:-2]:
            if not (root / name).exists():
                yield Fault(subject.name_of(root / name), None, "the file is missing")
    listing = root / FOLDER / LISTING
    if listing.exists():
        yield from text_faults(listing, subject.name_of(listing), f"{_SIDECAR}{root}", is_ours=True)
        yield from _sidecar_faults(subject)
    for path in sorted({root / name for name in _METADATA} | set(_whole_tables(subject))):
        if path.exists():
            yield from parquet_faults(path, subject.name_of(path), is_ours=ours, rows=path.suffix == ".parquet")
    for path in sorted(root.glob("*.fits")):
        yield from fits_faults(path, subject.name_of(path), is_ours=ours)
    if (root / PROVENANCE).exists():
        yield from text_faults(root / PROVENANCE, subject.name_of(root / PROVENANCE), is_ours=ours)


def _sidecar_faults(subject: Subject) -> Iterator[Fault]:
    sidecar = subject.sidecar
    lacking = [] if sidecar is None else sorted(set(sidecar.columns) - set(subject.catalog.schema.names))
    if lacking:
        file, what = subject.name_of(subject.root / FOLDER / LISTING), f'lists "{lacking[0]}", which is no column'
        yield Fault(file, None, what, way_out=f"{_SIDECAR}{subject.root}")


def _whole_tables(subject: Subject) -> Iterator[Path]:
    """Yield Parquet files that are no partitions: thumbnails, statistics of partitions."""
    yield from subject.root.glob("*.parquet")
    yield from (subject.root / "dataset").glob("*.parquet")


def fits_faults(path: Path, file: str, *, is_ours: bool) -> Iterator[Fault]:
    """Hold a FITS file against the checksums in it, which those that we write have in every part."""
    sound = fits_is_sound(path.read_bytes())
    if sound is False or (sound is None and is_ours):
        yield Fault(
            file, None, _BARE if sound is None else _DAMAGED, way_out=f"{AGAIN}; or remove it, it is not needed"
        )


def listing_of_folder(subject: Subject, leaves: set[Path]) -> Iterator[Fault]:
    """Find files that no partition is kept in, that were left by something killed, or that nobody knows."""
    root = subject.root
    sidecar = subject.sidecar
    beside = {sidecar.file_of(leaf) for leaf in leaves} if sidecar is not None else set()
    tables = set(_whole_tables(subject))
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = path.relative_to(root).as_posix()
        if path in leaves or path in beside or path in tables or name in _KNOWN or _COARSER.fullmatch(name):
            continue
        file = subject.name_of(path)
        if is_leftover(path):
            yield leftover(file)
        elif name.startswith("dataset/Norder=") and not path.name.startswith((".", "_")):
            yield Fault(
                file,
                None,
                "no partition of the catalog is kept in this file",
                way_out="move it away, for other readers may take it for a part of the catalog; or make that again",
            )
        else:
            yield Fault(file, None, "no part of the catalog is kept in this file", True, "unknown", way_out=NOTHING)


def is_leftover(path: Path) -> bool:
    """Tell whether a file or folder has a temporary name."""
    return (path.name.startswith(".") and path.name.endswith(".tmp")) or WORK in path.parts


def leftover(file: str) -> Fault:
    """Return the note about something under a temporary name."""
    what = "was left by something that is running, or was killed"
    return Fault(file, None, what, True, "leftover", way_out="remove it, unless something is being written there")


def collection_faults(base: Path, folder: Path) -> Iterator[Fault]:
    """Look at the property file of a collection, and for leftovers right inside its folder."""
    path = folder / COLLECTION
    if path.exists():
        ours = b"hats_builder=lsdb_ts" in path.read_bytes()
        yield from text_faults(path, name_of(base, path), is_ours=ours)
    if (folder / PROVENANCE).exists():
        yield from text_faults(folder / PROVENANCE, name_of(base, folder / PROVENANCE), is_ours=True)
    for inner in sorted(folder.iterdir()):
        if is_leftover(inner):
            yield leftover(name_of(base, inner))

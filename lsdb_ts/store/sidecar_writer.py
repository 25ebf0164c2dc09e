"""Build the sidecar of a catalog: one uncompressed, sorted file for each leaf. It is read next door."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsdb_ts.schema import HEALPIX, Roles, require
from lsdb_ts.store.files import local, state_of
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.seal import TEXT_BLANK, TEXT_KEY, sealed_text
from lsdb_ts.store.sidecar import FOLDER, LISTING, Sidecar
from lsdb_ts.store.sidecar_file import is_sound, write_file
from lsdb_ts.store.source import HatsSource
from lsdb_ts.store.write import atomic, remove_leftovers


@dataclass(frozen=True)
class SidecarReport:
    """What building a sidecar did."""

    path: Path
    columns: tuple[str, ...]
    leaves: int
    written: int
    """Leaves whose file was missing, out of date or damaged."""
    bytes: int
    """Of the whole sidecar."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**vars(self), "path": str(self.path), "columns": list(self.columns)}


def build_sidecar(
    path: str | Path, columns: Sequence[str] = (), advance: Callable[[int], object] = lambda n: None
) -> SidecarReport:
    """Write places, positions and a few columns of a catalog, and of its margin, once more: uncompressed.

    Files that are there, sound and up to date are left as they are; the same call after any interruption does what is
    missing.

    Parameters
    ----------
    path : str or pathlib.Path
        A HATS catalog or collection on this machine.
    columns : sequence of str
        Further columns; by default that of the ids, if the catalog says which it is.
    advance : callable
        Called with the number of leaves done, as they are.

    Raises
    ------
    PlanError
        There is no such column, or the catalog is not on this machine.
    """
    catalog = open_hats(path)
    # It is mapped into memory.
    root = local(catalog.path, "building a sidecar")
    known = Roles.of(catalog.schema).id
    held = tuple(dict.fromkeys([*HatsSource(catalog).positions, *(columns or ([known] if known else []))]))
    require(catalog.schema, held, catalog.name)
    made = [_built(one, held, advance) for one in (catalog, catalog.margin) if one is not None]
    return SidecarReport(
        root / FOLDER,
        held,
        sum(len(sizes) for sizes, _ in made),
        sum(written for _, written in made),
        sum(sum(sizes) for sizes, _ in made),
    )


def _built(catalog: HatsCatalog, columns: tuple[str, ...], advance: Callable[[int], object]) -> tuple[list[int], int]:
    """Build the sidecar of one catalog; returns the sizes of all its files and how many of them were written."""
    assert isinstance(catalog.path, Path)
    sidecar = Sidecar(catalog.path, columns)
    folder = catalog.path / FOLDER
    folder.mkdir(exist_ok=True)
    # Without its listing nobody uses it: a reader may not find files of both an old and a new set of columns.
    (folder / LISTING).unlink(missing_ok=True)
    remove_leftovers(folder)
    leaves = list(_leaves(catalog))
    source = HatsSource(catalog)

    def write(leaf: Path) -> bool:
        file = sidecar.file_of(leaf)
        left = sidecar.is_current(leaf, (HEALPIX, *columns)) and is_sound(file)
        if not left:
            _write(source, leaf, file, columns)
        advance(1)
        return not left

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        written = sum(pool.map(write, leaves))
    files = {sidecar.file_of(leaf) for leaf in leaves}
    for old in set(folder.rglob("*.arrow")) - files:
        old.unlink()
    with atomic(folder / LISTING) as temporary:
        temporary.write_bytes(sealed_text(json.dumps({"columns": list(columns), TEXT_KEY: TEXT_BLANK}).encode()))
    return [file.stat().st_size for file in files], written


def _leaves(catalog: HatsCatalog) -> Iterator[Path]:
    return (file for pixel in catalog.layout for file in catalog.leaf_files(pixel) if isinstance(file, Path))


def _write(source: HatsSource, leaf: Path, file: Path, columns: tuple[str, ...]) -> None:
    # Looked at first: a leaf that changes while it is read makes a file that is out of date.
    state = state_of(leaf)
    table = source.file_rows(leaf, (HEALPIX, *columns)).replace_schema_metadata(None)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as temporary:
        write_file(temporary, table, {"leaf": state})

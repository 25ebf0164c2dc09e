"""The raw files that paths, folders, patterns and URLs name, and the reader of each. What is in them is not read."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lsdb_ts.errors import CatalogError, InputError
from lsdb_ts.store.files import AnyPath, located
from lsdb_ts.store.remote import RemotePath
from partitioner.inputs.readers.access import File, found
from partitioner.inputs.readers.hats import catalog_in, partitions
from partitioner.inputs.readers.reader import Options, Reader
from partitioner.inputs.readers.registry import options_of, reader_for, suffixes
from partitioner.surveys.survey import Table

REMOTE_AT_ONCE = 16
"""Files behind URLs are asked about so many at a time."""


def listed(table: Table) -> list[tuple[File, Reader]]:
    """Return the files of a table, sorted by name, and how each is read; a folder may be a HATS or HiPSCat catalog.

    Raises
    ------
    InputError
        A pattern names nothing, or a file of which the format is not known.
    PlanError
        The reader or its options are not known.
    """
    reader, options = table.reader, options_of(table.reader, table.csv)
    places: dict[str, tuple[AnyPath, Reader]] = {}
    for pattern in table.files:
        hits = [*_readers(_named(pattern, table.storage), reader, options)]
        if not hits:
            raise InputError(f'the table "{table.name}" has no files: nothing matches {pattern}')
        places |= {str(place): (place, how) for place, how in hits}
    ordered = [places[name] for name in sorted(places)]
    return [(file, how) for file, (_, how) in zip(each_of(found, [p for p, _ in ordered]), ordered, strict=True)]


def each_of(function: Any, places: Sequence[Any]) -> Iterable[Any]:
    """Call a function for each file, for those behind URLs many at a time; in sequence."""
    if not any(isinstance(getattr(place, "place", place), RemotePath) for place in places):
        return map(function, places)
    with ThreadPoolExecutor(REMOTE_AT_ONCE) as pool:
        return list(pool.map(function, places))


def _readers(places: Iterable[AnyPath], reader: str | None, options: Options) -> Iterator[tuple[AnyPath, Reader]]:
    """Yield files and their readers; a folder stands for what is in it."""
    for place in places:
        if not _is_folder(place, reader):
            yield place, reader_for(str(place), reader, options)
            continue
        kind = catalog_in(place)
        if kind is not None:
            files, how = partitions(place, kind(options))
            yield from ((file, how) for file in files)
        else:
            pairs = [(file, reader_for(str(file), reader, options)) for file in _inside(place, reader)]
            _check_alike(place, [how for _, how in pairs])
            yield from pairs


def _check_alike(folder: AnyPath, readers: Iterable[Reader]) -> None:
    """Raise InputError for a folder with several formats: some may be no part of the table."""
    kinds = sorted({how.name for how in readers})
    if len(kinds) > 1:
        raise InputError(
            f"{folder} has files of several formats ({', '.join(kinds)}): name those that are meant by a pattern like "
            f'"{folder}/*{reader_for("", kinds[0]).suffixes[0]}"'
        )


def _named(pattern: str, storage: Mapping[str, Any]) -> list[AnyPath]:
    """Return the files and folders that a pattern names."""
    place = located(pattern, storage)
    if isinstance(place, Path):
        if place.exists():
            return [place.absolute()]
        return [Path(p).absolute() for p in glob.glob(str(place), recursive=True)]  # noqa: PTH207
    root, star, rest = place.url.partition("*")
    if not star:
        return [place]
    folder, _, stem = root.rpartition("/")
    return _globbed(dataclasses.replace(place, url=folder), f"{stem}*{rest}")


def _globbed(folder: RemotePath, pattern: str) -> list[AnyPath]:
    if folder.protocol in {"http", "https"}:
        raise InputError(f"{folder}/{pattern}: files cannot be listed over http: name each of them, or a HATS catalog")
    try:
        return [*folder.glob(pattern)]
    except CatalogError as error:
        raise InputError(f"cannot list {folder}/{pattern}: {error}") from error


def _is_folder(place: AnyPath, reader: str | None) -> bool:
    if isinstance(place, Path):
        return place.is_dir()
    # Servers do not tell: a name that ends like a file's is one.
    return not (reader is not None or place.name.lower().endswith(suffixes()))


def _inside(folder: AnyPath, reader: str | None) -> list[AnyPath]:
    """Return the files in a folder, at any depth; of known formats only, where none is named; no hidden ones."""
    if isinstance(folder, Path):
        inside: list[AnyPath] = []
        for root, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not _is_hidden(name)]
            inside += [Path(root) / name for name in names]
    else:
        inside = _globbed(folder, "**")
    shown = [file for file in inside if not _is_hidden(file.name)]
    endings = suffixes() if reader is None else reader_for("", reader).suffixes
    kept = [file for file in shown if file.name.lower().endswith(endings)]
    # Of a format that is named any name will do, where none is like one of its own.
    return kept or (shown if reader is not None else [])


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))

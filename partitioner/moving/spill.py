"""Scratch files: rows written by bucket, several batches each, and mapped back into memory; an index of what is where.

Which rows belong to which bucket is the business of the stages.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.kernels.rows.ordering import order_by_group
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import atomic, unflushed
from partitioner.inputs.readers.reader import BATCH_BYTES
from partitioner.moving.rows import taken_table


@dataclass(frozen=True)
class Place:
    """Where the scratch files of one stage of one table are: a file for each piece of work, by its number."""

    folder: Path

    def file(self, number: int) -> Path:
        """Return the file of one piece of work."""
        return self.folder / f"{number:06d}.arrow"

    @property
    def index(self) -> Path:
        """File that tells which batches are of which bucket."""
        return self.folder / "index.npy"


class Spill:
    """One scratch file while it is written: an Arrow file with record batches of one bucket each.

    Use it as a context: the file appears under its name when the context is left without an error. What is not flushed
    is lost when the machine fails, and then made again (see :func:`is_whole`): it need not wait for the disk.
    """

    def __init__(self, path: Path, schema: pa.Schema, n_buckets: int, *, flush: bool = False) -> None:
        self.path = path
        self.buckets: list[int] = []
        """Bucket of each batch, in the sequence of the file."""
        self.rows: list[int] = []
        self._schema = schema.remove_metadata()
        self._n_buckets, self._flush = n_buckets, flush
        self._held: list[tuple[pa.Table, Indices]] = []
        self._held_bytes = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._open.enter_context((atomic if self._flush else unflushed)(self.path))
        self._writer = self._open.enter_context(pa.ipc.new_file(str(temporary), self._schema))
        return self

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            with self._open:
                self._write()
            return None
        self._held.clear()
        return self._open.__exit__(*error)

    def add(self, rows: pa.Table, buckets: Indices) -> None:
        """Write rows, a batch for each bucket that has some, when there are enough; those of one keep their sequence.

        Parameters
        ----------
        rows : pyarrow.Table, n rows
        buckets : numpy.ndarray of int64, shape (n,)
            Bucket of each row.
        """
        self._held.append((rows, buckets))
        self._held_bytes += rows.nbytes
        if self._held_bytes >= BATCH_BYTES // 2:
            self._write()

    def _write(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if not held:
            return
        tables = [rows for rows, _ in held]
        order, offsets = order_by_group(np.concatenate([buckets for _, buckets in held]), self._n_buckets)
        grouped = taken_table(tables, order, self._schema, grouped=True).to_batches()
        for bucket in np.flatnonzero(np.diff(offsets)).tolist():
            start, stop = offsets[bucket : bucket + 2].tolist()
            self._writer.write_batch(grouped[0].slice(start, stop - start))
            self.buckets.append(bucket)
            self.rows.append(stop - start)

    def to_json(self) -> list[list[int]]:
        """Return buckets and rows of all batches, for the journal."""
        return [self.buckets, self.rows]


def write_index(place: Place, batches: Sequence[tuple[int, list[list[int]]]]) -> None:
    """Write which batches of the files of a stage are of which bucket: one small file.

    Parameters
    ----------
    place : Place
    batches : sequence of (int, list)
        Number of a piece of work, and what :meth:`Spill.to_json` said of its file, by number.
    """
    listed = [np.empty((4, 0), dtype=np.int64)]
    for number, (buckets, rows) in batches:
        listed.append(np.array([buckets, [number] * len(rows), range(len(rows)), rows], dtype=np.int64))
    whole = np.concatenate(listed, axis=1)
    save_array(whole[:, np.argsort(whole[0], kind="stable")], place.index)


def read_bucket(place: Place, bucket: int) -> list[pa.RecordBatch]:
    """Map the rows of one bucket into memory, from those files that have some; in the sequence they were written in."""
    index = np.load(place.index, mmap_mode="r")
    first, stop = np.searchsorted(index[0], [bucket, bucket + 1]).tolist()
    _, numbers, batches, _ = np.array(index[:, first:stop])
    found: list[pa.RecordBatch] = []
    for number in np.unique(numbers).tolist():
        file = pa.ipc.open_file(pa.memory_map(str(place.file(number))))
        found += [file.get_batch(i) for i in batches[numbers == number].tolist()]
    return found


def save_array(array: np.ndarray, path: Path) -> None:
    """Write a ``.npy`` file that appears only when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with array_file(path, array.shape, array.dtype) as file:
        file.write(np.ascontiguousarray(array).data)


@contextmanager
def array_file(path: Path, shape: tuple[int, ...], kind: npt.DTypeLike) -> Iterator[BinaryIO]:
    """Open a ``.npy`` file that appears only when its values, in C order, have been written.

    Of a full disk, :func:`numpy.save` only says how many values it wrote, and writing through a map ends the process.
    """
    with unflushed(path) as temporary, temporary.open("wb") as file:
        header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield file


class Aside:
    """Rows of one piece of work that will be in no catalog: a Parquet file, if there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._open = ExitStack()
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._open.__exit__(*error)

    def add(self, rows: pa.Table) -> None:
        """Write some rows; all calls with the same columns."""
        if not rows.num_rows:
            return
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._open.enter_context(atomic(self.path))
            self._writer = self._open.enter_context(pq.ParquetWriter(temporary, rows.schema, write_page_checksum=True))
        self._writer.write_table(rows)
        self.rows += rows.num_rows


def written_here() -> dict[str, str]:
    """Return what tells whether a scratch file that was not flushed to disk is still whole: machine and its start."""
    return {"machine": os.uname().nodename, "boot": _boot()}


def is_whole(entry: Mapping[str, Any]) -> bool:
    """Tell whether the scratch files of a piece of work are whole: they are unless their machine was started anew."""
    return entry.get("machine") != os.uname().nodename or entry.get("boot") == _boot()


@functools.cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""

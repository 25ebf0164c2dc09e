"""What a repartition will take: memory, scratch disk, bytes of the result and time, measured on a few rows.

What is to be done is decided by the plan.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import OutputError, PlanError
from lsdb_ts.run.machine import machine_memory
from lsdb_ts.run.pool import active_client, cores
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import spatial_index
from lsdb_ts.store.encoding import Encoding
from partitioner.inputs.readers.reader import BATCH_BYTES
from partitioner.inputs.tables import TableInput, read_unit
from partitioner.planning.histogram import off_sky, positions
from partitioner.surveys.section import written_bytes

IN_MEMORY_BYTES = 192 << 20
"""Buckets larger than this are merged from runs: their rows are then in memory a row group at a time."""
BUCKET_BYTES = 64 << 20
"""A bucket is closed before the rows that go into it are expected to be larger than this, if nothing else is said."""
BASE_BYTES = 300 << 20
"""What a process takes before it has read a row: the interpreter, libraries, compiled functions."""
COPIES = 3
"""A thread holds the rows it works on about so often: as they were read, sorted, and encoded."""

_SAMPLE_ROWS = 20_000
_DISK_BYTES_PER_S = 600e6
"""What scratch files are written and read with, together, where the memory of the machine holds most of them."""
_FINISH_S = 1.0


@dataclass(frozen=True)
class Sample:
    """What a row of a table takes, measured on some of them."""

    row_bytes: float
    """In memory."""
    stored_bytes: float
    """In a Parquet file of the result."""
    row_s: float
    """Of one core: to read a row, move it twice, and encode it."""


def sample(table: TableInput) -> Sample:
    """Read some rows of a table, and write them to memory as the result will be written.

    The same rows are taken however the table is cut into units: the layout depends on their bytes.
    """
    began = time.perf_counter()
    rows, read = _first_rows(table)
    read_s = (time.perf_counter() - began) / max(read, 1)
    if not rows.num_rows:
        return Sample(0.0, 0.0, 0.0)
    began = time.perf_counter()
    placed = _placed(table, rows)
    placed = placed.take(pa.array(np.argsort(placed.column(HEALPIX).to_numpy(), kind="stable")))
    move_s = (time.perf_counter() - began) / rows.num_rows
    began = time.perf_counter()
    sink = pa.BufferOutputStream()
    pq.write_table(placed, sink, **Encoding.of(placed).options(), write_page_checksum=True)
    write_s = (time.perf_counter() - began) / rows.num_rows
    known = table.bytes / max(table.rows, 1)
    return Sample(
        row_bytes=max(rows.nbytes / rows.num_rows, known) + 8,
        stored_bytes=len(sink.getvalue()) / rows.num_rows,
        row_s=read_s + 2 * move_s + write_s,
    )


def _first_rows(table: TableInput) -> tuple[pa.Table, int]:
    """Return some rows, and how many had to be read for them."""
    found: list[pa.Table] = []
    read, kept = 0, 0
    for unit in table.units:
        for chunk in read_unit(unit, table.schema):
            found.append(chunk.table.slice(0, _SAMPLE_ROWS - kept))
            read, kept = read + chunk.table.num_rows, kept + found[-1].num_rows
            if kept == _SAMPLE_ROWS:
                return pa.concat_tables(found).combine_chunks(), read
    return pa.concat_tables([table.schema.empty_table(), *found]).combine_chunks(), read


def _placed(table: TableInput, rows: pa.Table) -> pa.Table:
    place = np.arange(rows.num_rows, dtype=np.int64)
    if table.roles.ra is not None and table.roles.dec is not None:
        ra, dec = positions(rows, table.roles)
        on_sky = ~off_sky(ra, dec)
        place[on_sky] = spatial_index(ra[on_sky], dec[on_sky])
    return rows.add_column(0, pa.field(HEALPIX, pa.int64()), pa.array(place))


@dataclass(frozen=True)
class Workforce:
    """Who does the work: processes, and how many pieces of work each does at the same time."""

    workers: int
    threads: int
    memory_bytes: int | None
    """What each process may use at most, or None where nobody says."""

    @classmethod
    def now(cls) -> Workforce:
        """Return the workers of the active Dask client, or this process with all cores."""
        client = active_client()
        if client is None:
            return cls(1, cores(), machine_memory())
        found = client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [w["memory_limit"] for w in found if w.get("memory_limit")]
        threads = max((w["nthreads"] for w in found), default=1)
        return cls(max(len(found), 1), threads, min(limits, default=None))


def bucket_limit(memory_bytes: int | None, threads: int) -> int:
    """Return how large a bucket may be so that a worker keeps to its memory; see :func:`stream_limit`."""
    if memory_bytes is None:
        return BUCKET_BYTES
    return stream_limit(memory_bytes, threads)


def stream_limit(memory_bytes: int | None, threads: int) -> int:
    """Return how large a bucket may be to be sorted in memory; larger ones, of one leaf, are merged from the disk.

    Raises
    ------
    PlanError
        That is too little memory; says how much is needed.
    """
    if memory_bytes is None:
        return IN_MEMORY_BYTES
    limit = (memory_bytes - BASE_BYTES) // (COPIES * threads)
    if limit < BATCH_BYTES:
        least = memory_for(BATCH_BYTES, threads)
        raise PlanError(
            f"{written_bytes(memory_bytes)} of memory is too little for a worker with {threads} threads: need at least "
            f"{written_bytes(least)}, or fewer threads (--memory, --workers)"
        )
    return min(limit, IN_MEMORY_BYTES)


def memory_for(bucket_bytes: float, threads: int) -> int:
    """Return the memory that a worker needs whose largest bucket has so many bytes."""
    return int(BASE_BYTES + COPIES * threads * bucket_bytes)


@dataclass(frozen=True)
class Estimate:
    """What a repartition is expected to take; everything but the memory is said with "about"."""

    scratch_bytes: int
    output_bytes: int
    free_bytes: int
    """On the disk of the output, when it was planned."""
    memory_bytes: int
    """Most that a worker needs."""
    available_bytes: int | None
    """Memory that a worker has, where that is known."""
    workers: int
    threads: int
    seconds: float
    stream_bytes: int = IN_MEMORY_BYTES
    """Buckets larger than this are not held in memory."""

    @classmethod
    def none(cls) -> Estimate:
        """Return the estimate of doing nothing."""
        return cls(0, 0, 0, 0, None, 0, 0, 0.0)

    @property
    def disk_bytes(self) -> int:
        """Scratch files and the result, which are there at the same time before the end."""
        return self.scratch_bytes + self.output_bytes

    @property
    def fits_disk(self) -> bool:
        """Whether the disk has room for it."""
        return self.disk_bytes <= self.free_bytes

    @property
    def fits_memory(self) -> bool:
        """Whether workers have the memory."""
        return self.available_bytes is None or self.memory_bytes <= self.available_bytes

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        told = {"disk_bytes": self.disk_bytes, "fits_disk": self.fits_disk, "fits_memory": self.fits_memory}
        return {**dataclasses.asdict(self), **told}

    def check_disk(self, out: Path) -> None:
        """Raise OutputError where the disk of the output has no room for the work."""
        if not self.fits_disk:
            raise OutputError(
                f"{out} needs about {written_bytes(self.disk_bytes)} ({written_bytes(self.scratch_bytes)} of scratch "
                f"files, {written_bytes(self.output_bytes)} of result), and its disk has "
                f"{written_bytes(self.free_bytes)} free: name a folder on a larger disk, or make room"
            )


@dataclass(frozen=True)
class Move:
    """Rows that are moved: read, written to scratch files, gathered and encoded."""

    table: str
    rows: int


def estimate(
    moves: Iterable[Move],
    samples: Mapping[str, Sample],
    largest_bucket_bytes: float,
    out: Path,
    force: Workforce,
    stream_bytes: int = IN_MEMORY_BYTES,
) -> Estimate:
    """Add up what a repartition takes.

    Parameters
    ----------
    moves : iterable of Move
        A table that is nested and a catalog as well is moved twice.
    samples : mapping of str to Sample
        Of each table.
    largest_bucket_bytes : float
        Of all catalogs.
    out : pathlib.Path
        Folder of the result; need not exist.
    force : Workforce
    stream_bytes : int, optional
        Larger buckets are not held in memory.
    """
    held = min(max(largest_bucket_bytes, BATCH_BYTES), stream_bytes)
    listed = [(m.rows, samples[m.table]) for m in moves]
    scratch = sum(n * s.row_bytes for n, s in listed)
    seconds = sum(n * s.row_s for n, s in listed) / (force.workers * force.threads)
    return Estimate(
        scratch_bytes=math.ceil(scratch),
        output_bytes=math.ceil(sum(n * s.stored_bytes for n, s in listed)),
        free_bytes=free_bytes(out),
        memory_bytes=memory_for(held, force.threads),
        available_bytes=force.memory_bytes,
        workers=force.workers,
        threads=force.threads,
        seconds=seconds + 2 * scratch / _DISK_BYTES_PER_S + _FINISH_S,
        stream_bytes=stream_bytes,
    )


def free_bytes(out: Path) -> int:
    """Return the bytes that are free on the disk where a folder is, or would be."""
    there = next(p for p in (out, *out.parents) if p.exists())
    return shutil.disk_usage(there).free

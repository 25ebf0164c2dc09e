"""The stages of a repartition as pieces of work: which there are, in which sequence, what each weighs, how one is done.

What a piece does with its rows is written in the module of its stage; who does it, and when, in job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.store.write import leaf_path
from partitioner.inputs.readers.access import File
from partitioner.margins.assemble import assemble
from partitioner.moving.gather import Bucket, Gathering, gather
from partitioner.moving.ids import build_index, index_parts
from partitioner.moving.lookup import collect_visits, visited_tables
from partitioner.moving.nest import route
from partitioner.moving.shard import scratch, shard
from partitioner.moving.spill import write_index
from partitioner.planning.plan import Plan
from partitioner.planning.product import Product

Entry = Mapping[str, Any]
"""What a piece of work reported to the journal."""

VISITS, SHARD, INDEX, FOLLOW, ROUTE, GATHER, MARGIN = "visits", "shard", "index", "follow", "route", "gather", "margin"
"""Kinds of pieces."""

STAGES: Mapping[str, tuple[str, ...]] = {
    "visits": (VISITS,),
    "shard": (SHARD,),
    "index": (INDEX,),
    "route": (FOLLOW, ROUTE),
    "gather": (GATHER,),
    "margin": (MARGIN,),
}
"""The stages in sequence, each of which needs all before it, and the kinds of pieces they are made of."""

WEIGHTS: Mapping[str, float] = {"visits": 1.0, "shard": 1.0, "index": 0.5, "route": 1.0, "gather": 2.0, "margin": 2.0}
"""Time that a byte takes in each, compared with the others: encoding takes as long as all else."""

_INDEX_ROW_BYTES = 16
_MARGIN_PART = 0.05
"""About so many of the bytes are in a margin, too, as far as a plan can know."""


@dataclass(frozen=True)
class Piece:
    """A piece of work: it can be done by itself, by anybody, and again."""

    kind: str
    table: str
    number: int
    rows: int = field(default=0, compare=False)
    """0 where a plan does not know: how many are in a margin."""
    bytes: float = field(default=0.0, compare=False)
    """What it is expected to move, in memory."""

    @property
    def key(self) -> str:
        """Name in the journal."""
        return f"{self.kind}/{self.table}/{self.number:06d}"

    def __str__(self) -> str:
        return f"{self.kind} {self.table} {self.number}"


def stages(planned: Plan) -> list[str]:
    """Return the stages that a plan has pieces of, in sequence."""
    return [name for name in STAGES if next(_pieces(planned, name), None) is not None]


def pieces(planned: Plan, stage: str) -> list[Piece]:
    """Return the pieces of a stage, in sequence; their places there are the indices of tasks.

    Raises
    ------
    PlanError
        There is no such stage.
    """
    if stage not in STAGES:
        raise PlanError(f'there is no stage "{stage}"; {did_you_mean(stage, STAGES)}')
    return list(_pieces(planned, stage))


def _pieces(planned: Plan, stage: str) -> Iterator[Piece]:
    for kind in STAGES[stage]:
        if kind == VISITS:
            for table in visited_tables(planned):
                visits = planned.inputs[_visits_of(planned, table)]
                yield Piece(VISITS, table, 0, visits.rows, visits.bytes)
        elif kind == INDEX:
            yield from _index_pieces(planned)
        elif kind in {SHARD, FOLLOW, ROUTE}:
            yield from (p for table in _tables(planned, kind) for p in _units(planned, kind, table))
        else:
            made = (p for p in planned.products if kind == GATHER or p.margin_arcsec > 0)
            yield from (piece for product in made for piece in _buckets(kind, product))


def _tables(planned: Plan, kind: str) -> list[str]:
    """Return the tables whose rows go by their own positions, by those they follow, or by those they are nested in."""
    if kind == ROUTE:
        return [n.table for p in planned.products for n in p.nest]
    return [p.table for p in planned.products if (p.follow is not None) == (kind == FOLLOW)]


def _units(planned: Plan, kind: str, table: str) -> Iterator[Piece]:
    raw = planned.inputs[table]
    row_bytes = raw.bytes / max(raw.rows, 1)
    for unit in planned.units(table):
        rows = unit.rows or 0
        yield Piece(kind, table, unit.number, rows, rows * row_bytes)


def _index_pieces(planned: Plan) -> Iterator[Piece]:
    parts = index_parts(planned)
    for part in parts:
        rows = planned.inputs[part.table].rows // sum(p.table == part.table for p in parts)
        yield Piece(INDEX, part.table, part.number, rows, rows * _INDEX_ROW_BYTES)


def _buckets(kind: str, product: Product) -> Iterator[Piece]:
    if not product.buckets:
        return
    part = 1.0 if kind == GATHER else _MARGIN_PART
    rows, size = (np.add.reduceat(of, product.edges) * part for of in (product.counts, product.bytes))
    for number in range(product.buckets):
        yield Piece(kind, product.table, number, int(rows[number]) if kind == GATHER else 0, float(size[number]))


def described(planned: Plan, piece: Piece) -> str:
    """Name a piece for people: by the files it reads, or by the bucket it makes."""
    if piece.kind in {SHARD, FOLLOW, ROUTE}:
        return f"{piece.kind} {planned.units(piece.table)[piece.number]}"
    if piece.kind in {GATHER, MARGIN}:
        return f"{piece.kind} {Bucket(_product(planned, piece).name, piece.number)}"
    return str(piece)


def files_read(planned: Plan, piece: Piece) -> list[File]:
    """Return the raw files that a piece reads."""
    if piece.kind == VISITS:
        return [f.file for f in planned.inputs[_visits_of(planned, piece.table)].files]
    if piece.kind in {SHARD, FOLLOW, ROUTE}:
        return list({p.file.path: p.file for p in planned.units(piece.table)[piece.number].parts}.values())
    return []


def do(planned: Plan, piece: Piece) -> Any:
    """Do a piece of work; returns its entry for the journal, or the InputError that it met."""
    if piece.kind == VISITS:
        return collect_visits(planned, piece.table)
    if piece.kind == INDEX:
        part = next(p for p in index_parts(planned) if (p.table, p.number) == (piece.table, piece.number))
        return build_index(planned, part)
    if piece.kind in {SHARD, FOLLOW, ROUTE}:
        unit = planned.units(piece.table)[piece.number]
        return route(planned, unit) if piece.kind == ROUTE else shard(planned, unit)
    work = Gathering(planned, _product(planned, piece))
    bucket = Bucket(work.product.name, piece.number)
    return gather(work, bucket) if piece.kind == GATHER else assemble(work, bucket)


def close(planned: Plan, stage: str, entry: Callable[[str], Entry]) -> None:
    """Write what the next stages need to know of a stage that is done: which batches of its files are whose.

    Parameters
    ----------
    planned : Plan
    stage : str
    entry : callable
        Returns what a piece has reported, by its key.
    """
    by_folder: dict[tuple[str, str], list[Piece]] = {}
    for piece in _pieces(planned, stage):
        folder = _SCRATCH.get(piece.kind)
        if folder is not None and not (piece.kind == GATHER and _product(planned, piece).margin_arcsec == 0):
            by_folder.setdefault((folder, piece.table), []).append(piece)
    for (folder, table), listed in by_folder.items():
        write_index(scratch(planned, folder, table), [(p.number, entry(p.key)["batches"]) for p in listed])


_SCRATCH = {SHARD: "shard", FOLLOW: "shard", ROUTE: "route", GATHER: "margin"}
"""Where pieces leave rows for the next stage."""


def is_there(planned: Plan, piece: Piece, entry: Entry) -> bool:
    """Tell whether the files that a piece has made are still there."""
    return all(_has(path, size) for path, size in _made(planned, piece, entry))


def _made(planned: Plan, piece: Piece, entry: Entry) -> Iterable[tuple[Path, int]]:
    if piece.kind in {SHARD, FOLLOW, ROUTE}:
        yield scratch(planned, _SCRATCH[piece.kind], piece.table).file(piece.number), 1
    elif piece.kind in {GATHER, MARGIN}:
        work = Gathering(planned, _product(planned, piece))
        root = work.root if piece.kind == GATHER else work.margin_root
        for leaf in entry["leaves"]:
            yield leaf_path(root, Pixel(leaf["order"], leaf["number"])), leaf["bytes"]
        if piece.kind == GATHER and work.product.margin_arcsec > 0:
            yield scratch(planned, "margin", piece.table).file(piece.number), 1


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size >= size
    except FileNotFoundError:
        return False


def _product(planned: Plan, piece: Piece) -> Product:
    return next(p for p in planned.products if p.table == piece.table)


def _visits_of(planned: Plan, table: str) -> str:
    visit = planned.survey.table(table).visit
    assert visit is not None
    return visit.table

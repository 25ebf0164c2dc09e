"""Small random skies in layouts of mixed orders, and the crossmatch of them by brute force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.plan.matching.algorithm import Nearest
from lsdb_ts.plan.node import Node, produce, whole
from lsdb_ts.plan.scan import Scan
from lsdb_ts.sky import Layout, propagate, spatial_index
from lsdb_ts.sky.pixel import Pixel, cell_of, neighbour_reach_arcsec
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.source import Request
from tests.oracles import pairs_within

CENTRES = [(10.0, 90.0), (200.0, -90.0), (0.0, 10.0), (360.0, -60.0), (0.0, 41.8103), (90.0, -41.8103), (45.0, 0.0)]
"""Poles, RA 0/360, and corners at which three or four base pixels meet."""


class Blind(MemorySource):
    """A source that knows of its sky no more than its leaves."""

    @property
    def sky(self) -> None:
        return None


class Dropping(Blind):
    """A source that leaves out every row it may."""

    def partition(self, request: Request) -> Partition:
        columns = tuple(dict.fromkeys([*request.columns, *request.rows]))
        part = super().partition(replace(request, columns=columns))
        for name, (low, high) in request.rows.items():
            values = part.table[name].to_numpy()
            part = part.filter((low is None or values >= low) & (high is None or values <= high) & (values == values))
        return part.with_table(part.table.select(request.columns))


def mag_of(row: int) -> float:
    """Return the magnitude of a row by its id."""
    return row * 0.37 % 1


def random_side(name: str, ra: NDArray, dec: NDArray, reach_arcsec: float, rng: np.random.Generator) -> Node:
    """Return rows as a scan in a random layout whose pixels are about as large as a reach."""
    ids = rng.permutation(ra.size) + 1
    table = pa.table({f"{name}_id": ids, f"{name}_ra": ra, f"{name}_dec": dec, f"{name}_mag": mag_of(ids)})
    source = MemorySource.of_table(table, f"{name}_ra", f"{name}_dec", name)
    kind = (MemorySource, Blind, Dropping)[int(rng.integers(3))]
    place = source.table["_healpix_29"].to_numpy()
    return Scan(kind(name, source.table, source.positions, random_layout(place, reach_arcsec, rng)))


def random_layout(place: NDArray[np.int64], reach_arcsec: float, rng: np.random.Generator) -> Layout:
    """Return leaves that hold all places: some of about the reach, others up to 64 times finer or coarser."""
    order = int(np.clip(np.log2(211_000 / reach_arcsec) - rng.uniform(0.5, 4), 0, 25))
    leaves = [Pixel(order, int(n)) for n in np.unique(cell_of(place, order))]
    for _ in range(int(rng.integers(0, 3)) if leaves else 0):
        split = leaves.pop(int(rng.integers(len(leaves))))
        children = split.children(split.order + int(rng.integers(1, 3)))
        leaves += [c for c in children if rng.random() < 0.3 or ((place >= c.start) & (place < c.stop)).any()]
    return Layout.of(leaves)


def random_sky(seed: int) -> tuple[Node, Node, float, np.random.Generator]:
    """Return two sides that lie near each other at a hard place, and a radius that pairs some of them.

    The radius is one for which borders are drawn as narrow as they ever are.
    """
    rng = np.random.default_rng(seed)
    radius = neighbour_reach_arcsec(int(rng.integers(6, 21))) * rng.uniform(0.9, 1)
    ra, dec = CENTRES[seed % len(CENTRES)] if seed % 3 else (rng.uniform(0, 360), rng.uniform(-90, 90))
    east, north, on_left = (np.concatenate(parts) for parts in zip(_scatter(rng), *_chains(rng), strict=True))
    if rng.random() < 0.3:
        # Some of either side at the very same position, some twice.
        same = rng.integers(0, max(east.size, 1), 5 if east.size else 0)
        east, north = np.append(east, east[same]), np.append(north, north[same])
        on_left = np.append(on_left, rng.random(same.size) < 0.5)
    where = propagate(np.full(east.size, ra), np.full(east.size, dec), east * radius * 1e3, north * radius * 1e3, 1.0)
    sides = [
        random_side(n, where[0][mine], where[1][mine], radius, rng) for n, mine in (("l", on_left), ("r", ~on_left))
    ]
    return sides[0], sides[1], radius, rng


def _scatter(rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
    """Scatter some rows; in units of the radius: east, north, and whether on the left side."""
    n = int(rng.integers(0, 25))
    return rng.normal(0, 3, n), rng.normal(0, 3, n), rng.random(n) < rng.random()


def _chains(rng: np.random.Generator) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
    """Yield chains of left and right rows in turn, each a bit nearer to the next than to the one before it.

    Who is the best of a row is then decided as far away as it can be.
    """
    for _ in range(int(rng.integers(0, 6))):
        n = int(rng.integers(2, 6))
        step = 0.99 * rng.uniform(0.85, 1) ** np.arange(n)
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.1, n))
        start = rng.uniform(-4, 4, 2)
        along = start[0] + np.cumsum(step * np.cos(angle)), start[1] + np.cumsum(step * np.sin(angle))
        yield *along, (np.arange(n) + int(rng.integers(2))) % 2 == 0


def computed(node: Node, demand=None) -> tuple[pa.Table, dict[str, dict[str, int]]]:
    """Return all rows of a plan, pixel by pixel, and what was counted."""
    demand = demand or whole(node)
    tables, counts = [], {}
    for pixel in node.layout:
        part = produce(node, demand.at(pixel))
        tables.append(part.core_table())
        for name, found in part.account.items():
            mine = counts.setdefault(name, {})
            for what, n in found.items():
                mine[what] = mine.get(what, 0) + n
    empty = pa.schema([pa.field("_healpix_29", pa.int64()), *node.schema]).empty_table()
    table = pa.concat_tables(tables) if tables else empty.select(list(demand.columns))
    return table, counts


@dataclass(frozen=True)
class Rows:
    """Rows of one side as brute force knows them, in the order of their place."""

    keys: list[tuple]
    ra: NDArray
    dec: NDArray
    width: int = 1
    """How many ids make a key."""

    @classmethod
    def of(cls, scan: Node, name: str) -> Rows:
        table = scan.source.table
        keys = [(i,) for i in table[f"{name}_id"].to_pylist()]
        return cls(keys, table[f"{name}_ra"].to_numpy(), table[f"{name}_dec"].to_numpy())

    @classmethod
    def joined(cls, rows: list[tuple[tuple, tuple[float, float], float | None]], width: int) -> Rows:
        """Take the rows of a match for one side of the next, by place."""
        ra, dec = (np.array([where[k] for _, where, _ in rows], dtype=float) for k in (0, 1))
        order = np.argsort(spatial_index(ra, dec), kind="stable")
        return cls([rows[k][0] for k in order], ra[order], dec[order], width)

    def at(self, row: int) -> tuple[float, float]:
        return float(self.ra[row]), float(self.dec[row])


def brute_pairs(left: Rows, right: Rows, algorithm: Nearest) -> list[tuple[int, int, float]]:
    """Return (left row, right row, separation), by left row, then separation, then right row."""
    radius, least, n_neighbors = algorithm.radius_arcsec, algorithm.min_radius_arcsec, algorithm.n_neighbors
    near = _nearest(left, right, radius, n_neighbors, least)
    if not algorithm.mutual:
        return near
    back = {(i, j) for j, i, _ in _nearest(right, left, radius, 1, least)}
    return [(i, j, d) for i, j, d in near if (i, j) in back]


def _nearest(left, right, radius, n_neighbors, least) -> list[tuple[int, int, float]]:
    if not left.keys or not right.keys:
        return []
    found = zip(*(a.tolist() for a in pairs_within(left.ra, left.dec, right.ra, right.dec, radius)), strict=True)
    kept, seen = [], {}
    for i, j, d in found:
        if d >= least and (n_neighbors is None or seen.get(i, 0) < n_neighbors):
            seen[i] = seen.get(i, 0) + 1
            kept.append((i, j, d))
    return kept


def joined(left: Rows, right: Rows, pairs, how: str) -> list[tuple[tuple, tuple[float, float], float | None]]:
    """Return (key, position, separation) of the rows of a match."""
    alone = sorted(set(range(len(left.keys))) - {i for i, _, _ in pairs})
    alone_right = sorted(set(range(len(right.keys))) - {j for _, j, _ in pairs})
    if how in ("semi", "anti"):
        kept = alone if how == "anti" else sorted({i for i, _, _ in pairs})
        return [(left.keys[i], left.at(i), None) for i in kept]
    rows = [(left.keys[i] + right.keys[j], left.at(i), d) for i, j, d in pairs]
    if how in ("left", "outer"):
        rows += [(left.keys[i] + (None,) * right.width, left.at(i), None) for i in alone]
    if how in ("right", "outer"):
        rows += [((None,) * left.width + right.keys[j], right.at(j), None) for j in alone_right]
    return rows

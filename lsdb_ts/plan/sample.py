"""Rows drawn at random, the same ones in every layout and on every machine. Who asks for them lives in the catalog."""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.plan.node import Node, Unary, needs_positions
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, N_BASE, Pixel, cell_of
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition

ALL = 1 << 62
"""One past the largest lot a row can have."""
_BITS = np.uint64(2)
_FINEST_LISTED = 8
"""Drawn cells up to this order (0.8 million of them) are listed, so that files without any are not read."""

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Draw:
    """A rule that takes rows by lot: a row's lot is a keyed hash of its place, and never of how rows are stored.

    Rows that share an order-29 cell (0.4 milliarcsec) are told apart by the column with the role of id, if there is
    one, and then by their sequence in the cell.
    """

    seed: int
    first: int = 0
    """Smallest lot that is taken."""
    stop: int = ALL
    """One past the largest lot that is taken."""
    order: int | None = None
    """Order of the cells that share one lot; None gives every row its own."""
    id: str | None = None
    """Column that tells rows of one place apart."""
    depth: int = 0
    """Number of draws below: a second draw with the same seed must not take the same rows again."""

    def __post_init__(self) -> None:
        try:
            operator.index(self.seed)
        except TypeError as error:
            raise PlanError(f"a seed is an integer, not {self.seed!r}") from error
        if self.order is not None and not 0 <= self.order <= MAX_ORDER:
            raise PlanError(f"order {self.order} is not a HEALPix order: need 0 to {MAX_ORDER}")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns read to draw, besides the place."""
        return (self.id,) if self.id is not None else ()

    def lots(self, table: pa.Table, pixel: Pixel) -> NDArray[np.int64]:
        """Return each row's lot, evenly spread over [0, 2**62).

        Parameters
        ----------
        table : pyarrow.Table, n rows
            Sorted by ``_healpix_29``; rows without a place are known by ``pixel`` and their sequence in it.
        pixel : Pixel
            The partition.

        Returns
        -------
        numpy.ndarray of int64, shape (n,)
        """
        if HEALPIX not in table.column_names:
            rows = np.arange(table.num_rows, dtype=np.uint64)
            return _scaled(_mixed(_mixed(_words([pixel.start]) ^ self._key) ^ rows))
        place = table.column(HEALPIX).to_numpy()
        if self.order is not None:
            return _scaled(_mixed(_words(cell_of(place, self.order)) ^ self._key))
        words = _mixed(_words(place) ^ self._key)
        twin = place[1:] == place[:-1]
        if twin.any():
            shared = np.flatnonzero(np.append(twin, False) | np.append(False, twin))
            mine = words[shared]
            if self.id is not None:
                mine = _mixed(mine ^ _id_words(table.column(self.id).take(pa.array(shared))))
            words[shared] = _told_apart(mine)
        return _scaled(words)

    def takes(self, lots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which lots are taken."""
        return np.asarray((lots >= self.first) & (lots < self.stop))

    @functools.cached_property
    def cells(self) -> Ranges | None:
        """The sky that is taken, where whole cells are and they are few enough to list; else None."""
        if self.order is None or self.order > _FINEST_LISTED:
            return None
        numbers = np.arange(N_BASE << (2 * self.order), dtype=np.int64)
        return Ranges.of_cells(numbers[self.takes(_scaled(_mixed(_words(numbers) ^ self._key)))], self.order)

    @functools.cached_property
    def _key(self) -> Words:
        kind = MAX_ORDER + 1 if self.order is None else self.order
        key = np.zeros(1, dtype=np.uint64)
        for part in (operator.index(self.seed) % (1 << 64), self.depth, kind):
            key = _mixed(key ^ np.array([part], dtype=np.uint64))
        return key


@dataclass(frozen=True, eq=False)
class Sample(Unary):
    """The rows that a draw takes; a row of the halo is taken if it is taken at home."""

    draw: Draw

    def __post_init__(self) -> None:
        if self.draw.order is not None:
            needs_positions(self.child, "a draw of whole cells")

    @classmethod
    def of(cls, child: Node, draw: Draw) -> Sample:
        """Return the node of a draw, which will not take the same rows as a draw below it with the same seed."""
        return cls(child, replace(draw, depth=_depth(child), id=id_of(child)))

    @functools.cached_property
    def layout(self) -> Layout:
        """The child's pixels, without those of which nothing is taken."""
        child, cells = self.child.layout, self.draw.cells
        return child if cells is None else child.take(cells.overlaps(child.starts, child.stops))

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The cells taken, as far as the child has rows there."""
        return common(self.child.sky, self.draw.cells)

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The cells taken, as far as the child was not cut before."""
        return common(self.child.footprint, self.draw.cells)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for what lots are drawn from, too."""
        place = (HEALPIX,) if self.child.positions is not None else ()
        asked = demand.plus([*place, *self.draw.inputs])
        if self.draw.order is None:
            # A row left out below would change the sequence of the others in its cell.
            return (replace(asked, rows={}),)
        return (replace(asked, sky=common(demand.sky, self.draw.cells)),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows taken."""
        return parts[0].filter(self.draw.takes(self.draw.lots(parts[0].table, demand.pixel)))

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect the share taken, unless cells that are not taken were left out below already."""
        share = self._share if self.draw.cells is None else 1.0
        return Forecast(parts[0].rows * share, parts[0].bytes * share, parts[0].most_bytes)

    def identity(self) -> Mapping[str, Any]:
        """Return the draw."""
        return {"draw": asdict(self.draw)}

    @property
    def summary(self) -> str:
        """The share taken."""
        of = "rows" if self.draw.order is None else f"cells of order {self.draw.order}"
        return f"sample {self._share:.4g} of the {of}, seed {self.draw.seed}"

    @property
    def _share(self) -> float:
        return (self.draw.stop - self.draw.first) / ALL


def lot(fraction: float) -> int:
    """Return the lot below which a fraction of all rows lies.

    >>> lot(1.0) == ALL
    True
    """
    return round(fraction * ALL)


def id_of(node: Node) -> str | None:
    """Return the column with the role of id, if values of its kind can tell rows apart."""
    name = Roles.of(node.schema).id
    if name is None or name not in node.schema.names:
        return None
    kind = node.schema.field(name).type
    return name if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def _depth(node: Node) -> int:
    below = max((_depth(child) for child in node.children), default=0)
    return below + isinstance(node, Sample)


def _words(numbers: Any) -> Words:
    return np.asarray(numbers, dtype=np.int64).view(np.uint64)


def _mixed(words: Words) -> Words:
    """Scramble 64-bit words, one to one (SplitMix64: Steele, Lea and Flood 2014, OOPSLA, figure 17, variant 13)."""
    z = words + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _scaled(words: Words) -> NDArray[np.int64]:
    return (words >> _BITS).astype(np.int64)


def _id_words(ids: pa.ChunkedArray) -> Words:
    if pa.types.is_integer(ids.type):
        return np.asarray(ids.fill_null(0).to_numpy()).astype(np.uint64)
    digests = (hashlib.blake2b(str(value).encode(), digest_size=8).digest() for value in ids.to_pylist())
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _told_apart(words: Words) -> Words:
    """Give equal words different ones, by their sequence."""
    by_word = np.argsort(words, kind="stable")
    ordered = words[by_word]
    rows = np.arange(words.size)
    starts = np.maximum.accumulate(np.where(np.append(True, ordered[1:] != ordered[:-1]), rows, 0))
    turn = np.empty(words.size, dtype=np.uint64)
    turn[by_word] = (rows - starts).astype(np.uint64)
    return np.where(turn > 0, _mixed(words ^ _mixed(turn)), words)

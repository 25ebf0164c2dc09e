"""The account of a run: for every table, rows and an order-free hash in, against out. The stages do the counting."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import RunError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.write import atomic

ACCOUNT = "account.json"
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Tally:
    """Some rows: how many, and the sum of their mixed keys modulo 2^64, which no change of order alters.

    >>> a, b = Tally.of(np.array([1, 2])), Tally.of(np.array([3]))
    >>> a + b == Tally.of(np.array([3, 1, 2]))
    True
    """

    rows: int = 0
    hash: int = 0

    @classmethod
    def of(cls, keys: NDArray[np.generic]) -> Tally:
        """Tally rows by their keys (any 64-bit integers)."""
        return cls(int(keys.size), int(mixed(keys).sum(dtype=np.uint64)))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, (self.hash + other.hash) & _MASK)

    def to_json(self) -> list[int]:
        """Return a JSON form."""
        return [self.rows, self.hash]


def mixed(keys: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Mix 64-bit keys one to one, so that every bit of a key touches every bit of the result.

    The finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014, fig. 17).
    """
    z = np.asarray(keys).astype(np.int64, copy=False).view(np.uint64).copy()
    z += np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def integers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    """Return an integer column as int64 (uint64 keeps its bits), nulls as 0."""
    filled = column.fill_null(0)
    if pa.types.is_uint64(filled.type):
        return filled.to_numpy().view(np.int64)
    return filled.cast(pa.int64()).to_numpy()


def row_keys(table: pa.Table, id_column: str | None) -> NDArray[np.int64]:
    """Return what identifies each row of a catalog: place, and the id where there is an integer one; shape (n,)."""
    place = table.column(HEALPIX).to_numpy()
    if id_column is None or not pa.types.is_integer(table.schema.field(id_column).type):
        return place
    return child_keys(place, integers(table.column(id_column)))


def child_keys(parents: NDArray[np.int64], ids: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return what identifies each child row: its parent, and its own id where it has one; shape (n,)."""
    return parents if ids is None else (mixed(parents).view(np.int64) ^ ids)


@dataclass(frozen=True)
class TableAccount:
    """What became of the rows of one table in one catalog."""

    table: str
    became: str
    """``catalog object``, or ``lc of object``."""
    rows_in: int
    rows_out: int
    refused: int = 0
    orphans: int = 0
    hash_in: int = 0
    hash_out: int = 0
    """With the rows that were set aside added."""

    @property
    def balances(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        return self.rows_in == self.rows_out + self.refused + self.orphans and self.hash_in == self.hash_out


@dataclass(frozen=True)
class CatalogAccount:
    """One catalog that was written."""

    name: str
    path: str
    rows: int
    partitions: int
    bytes: int
    margin_arcsec: float = 0.0
    margin_rows: int = 0
    dense: tuple[str, ...] = ()
    """Partitions that hold more rows than asked for, because the sky cannot be split there."""


@dataclass(frozen=True)
class Account:
    """Everything a run did."""

    out: str
    tables: tuple[TableAccount, ...]
    catalogs: tuple[CatalogAccount, ...]
    identity: Mapping[str, Any] = field(repr=False)
    already_done: bool = False
    """Whether the catalog was found finished, so that nothing was done this time."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return dataclasses.asdict(self)

    def check(self) -> None:
        """Raise RunError unless every table balances."""
        for t in self.tables:
            if not t.balances:
                raise RunError(
                    f'the books do not balance for the table "{t.table}" ({t.became}): {t.rows_in} rows in, '
                    f"{t.rows_out} out + {t.refused} refused + {t.orphans} orphans; hash {t.hash_in:016x} in, "
                    f"{t.hash_out:016x} out; nothing was committed. "
                    f"Remove {self.out} and start again, and please report this"
                )

    def write(self) -> None:
        """Write ``account.json`` into the output folder."""
        with atomic(Path(self.out) / ACCOUNT) as temporary:
            temporary.write_text(json.dumps({**self.to_json(), "out": "."}, indent=1, default=str))

    @classmethod
    def read(cls, out: Path) -> Account | None:
        """Read the account of a finished run, or None where there is none."""
        path = out / ACCOUNT
        if not path.exists():
            return None
        content = json.loads(path.read_text())
        return cls(
            out=str(out),
            tables=tuple(TableAccount(**t) for t in content["tables"]),
            catalogs=tuple(CatalogAccount(**{**c, "dense": tuple(c["dense"])}) for c in content["catalogs"]),
            identity=content["identity"],
            already_done=True,
        )

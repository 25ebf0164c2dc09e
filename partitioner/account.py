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
from lsdb_ts.kernels.rows.mixing import mix_keys, pair_keys, sum_of_mixed
from lsdb_ts.kernels.rows.text_keys import text_keys
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.seal import TEXT_BLANK, TEXT_KEY, check_text, sealed_text
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
        return cls(int(keys.size), int(sum_of_mixed(np.asarray(keys).astype(np.int64, copy=False))))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, (self.hash + other.hash) & _MASK)

    def to_json(self) -> list[int]:
        """Return a JSON form."""
        return [self.rows, self.hash]


def mixed(keys: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Mix 64-bit keys one to one, so that every bit of a key touches every bit of the result."""
    found: NDArray[np.uint64] = mix_keys(np.asarray(keys).astype(np.int64, copy=False))
    return found


def integers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    """Return ids as int64: integers (uint64 keeps its bits), nulls as 0, or numbers that stand for texts."""
    if not pa.types.is_integer(column.type) and has_number(column.type):
        return _numbers(column)
    filled = column.fill_null(0)
    is_large = pa.types.is_uint64(filled.type)
    values: NDArray[np.int64] = (filled if is_large else filled.cast(pa.int64())).to_numpy().view(np.int64)
    return values


def has_number(kind: pa.DataType) -> bool:
    """Tell whether ids of a type can be told apart by numbers: integers and texts can."""
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    texts = column.cast(pa.large_string())
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.large_string())
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    found: NDArray[np.int64] = text_keys(ends, np.frombuffer(data or b"", np.uint8))
    return found


def row_keys(table: pa.Table, id_column: str | None) -> NDArray[np.int64]:
    """Return what identifies each row of a catalog: place, and the id where there is an integer one; shape (n,)."""
    place: NDArray[np.int64] = table.column(HEALPIX).to_numpy()
    if id_column is None or not pa.types.is_integer(table.schema.field(id_column).type):
        return place
    return child_keys(place, integers(table.column(id_column)))


def child_keys(parents: NDArray[np.int64], ids: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return what identifies each child row: its parent, and its own id where it has one; shape (n,)."""
    keys: NDArray[np.int64] = parents if ids is None else pair_keys(parents, ids)
    return keys


@dataclass(frozen=True)
class TableAccount:
    """What became of the rows of one table in one catalog."""

    table: str
    became: str
    """``catalog object``, or ``lc of object``."""
    rows_in: int
    rows_out: int
    refused: Mapping[str, int] = field(default_factory=dict)
    """Rows that are in no catalog for what is wrong with them, by reason."""
    orphans: int = 0
    """Rows that name a parent that there is not."""
    duplicated: int = 0
    """Rows whose id comes in the same light curve before them."""
    dropped: int = 0
    """Those of them that were left out, where the survey says so."""
    unvisited: int = 0
    """Rows whose visit is not in the table of the visits."""
    hash_in: int = 0
    hash_out: int = 0
    """With the rows that were set aside added."""

    @property
    def rows_refused(self) -> int:
        """Rows that were refused, for whatever reason."""
        return sum(self.refused.values())

    @property
    def balances(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        counted = self.rows_out + self.rows_refused + self.orphans + self.dropped
        return self.rows_in == counted and self.hash_in == self.hash_out


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
    """Partitions that hold more than asked for: all is at one position, or light curves are longer than expected."""


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
                    f"{t.rows_out} out + {t.rows_refused} refused + {t.orphans} orphans + {t.dropped} dropped; "
                    f"hash {t.hash_in:016x} in, {t.hash_out:016x} out; nothing was committed. "
                    f"Remove {self.out} and start again, and please report this"
                )

    def write(self) -> None:
        """Write ``account.json`` into the output folder."""
        with atomic(Path(self.out) / ACCOUNT) as temporary:
            told = {**self.to_json(), "out": ".", TEXT_KEY: TEXT_BLANK}
            temporary.write_bytes(sealed_text(json.dumps(told, indent=1, default=str).encode()))

    @classmethod
    def exists(cls, out: Path) -> bool:
        """Tell whether a run was finished in a folder."""
        return (out / ACCOUNT).exists()

    @classmethod
    def read(cls, out: Path) -> Account | None:
        """Read the account of a finished run, or None where there is none."""
        path = out / ACCOUNT
        if not path.exists():
            return None
        text = path.read_bytes()
        check_text(text, path)
        content = json.loads(text)
        return cls(
            out=str(out),
            tables=tuple(TableAccount(**t) for t in content["tables"]),
            catalogs=tuple(CatalogAccount(**{**c, "dense": tuple(c["dense"])}) for c in content["catalogs"]),
            identity=content["identity"],
            already_done=True,
        )

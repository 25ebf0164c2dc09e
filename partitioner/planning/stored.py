"""Values on disk: a plan and all it is made of as one JSON text, from which the same values are made again.

Which values those are, the plan knows; nothing but what is listed here is ever made of a text.
"""

from __future__ import annotations

import base64
import dataclasses
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import ResumeError
from lsdb_ts.schema import Roles
from lsdb_ts.sky import Layout
from lsdb_ts.store.remote import RemotePath
from partitioner.inputs.readers.access import File
from partitioner.inputs.readers.reader import Options, Piece
from partitioner.inputs.readers.registry import READERS
from partitioner.inputs.tables import InputFile, TableInput
from partitioner.planning.census import Limits
from partitioner.planning.estimate import Estimate
from partitioner.planning.product import Product
from partitioner.surveys.survey import Nested, Survey, Table, VisitColumns

_KIND = "@"
_KNOWN: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Survey, Table, Nested, VisitColumns, Roles),
        *(TableInput, InputFile, File, RemotePath, Options, *READERS),
        *(Product, Layout, Limits, Estimate),
    )
}


def to_json(value: Any) -> Any:
    """Return the JSON form of a value: of plain ones, arrays, schemas, paths, and what plans are made of.

    Raises
    ------
    TypeError
        A value is of a kind that is not known here.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list | frozenset | set):
        return _pieces(value) if _are_pieces(value) else [to_json(v) for v in value]
    if isinstance(value, Mapping):
        return {_KIND: "map", "of": {str(k): to_json(v) for k, v in value.items()}}
    if isinstance(value, np.ndarray):
        return {_KIND: "array", "dtype": value.dtype.str, "of": _text(np.ascontiguousarray(value).tobytes())}
    if isinstance(value, pa.Schema):
        return {_KIND: "schema", "of": _text(value.serialize().to_pybytes())}
    if isinstance(value, Path):
        return {_KIND: "path", "of": str(value)}
    kind = type(value).__name__
    if kind not in _KNOWN or not dataclasses.is_dataclass(value):
        raise TypeError(f"a {type(value)} cannot be kept with a plan")
    fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    return {_KIND: kind, "of": fields}


def from_json(content: Any) -> Any:
    """Return the value of a JSON form; lists become tuples.

    Raises
    ------
    ResumeError
        It is not one that this version writes.
    """
    if isinstance(content, list):
        return tuple(from_json(c) for c in content)
    if not isinstance(content, dict):
        return content
    kind, of = str(content[_KIND]), content["of"]
    if kind == "map":
        return {k: from_json(v) for k, v in of.items()}
    if kind == "array":
        return np.frombuffer(_bytes(of), dtype=np.dtype(content["dtype"])).copy()
    if kind == "schema":
        return pa.ipc.read_schema(pa.py_buffer(_bytes(of)))
    if kind == "path":
        return Path(of)
    if kind == "pieces":
        return tuple(Piece(rows, size) for rows, size in zip(of["rows"], of["bytes"], strict=True))
    if kind not in _KNOWN:
        raise ResumeError(f'the stored plan holds a "{kind}", which this version of lsdb_ts does not know: plan again')
    return _KNOWN[kind](**{name: from_json(v) for name, v in of.items()})


def _are_pieces(values: Any) -> bool:
    return bool(values) and all(isinstance(v, Piece) for v in values)


def _pieces(values: Any) -> dict[str, Any]:
    # There may be millions of them.
    return {_KIND: "pieces", "of": {"rows": [p.rows for p in values], "bytes": [p.bytes for p in values]}}


def _text(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 1)).decode()


def _bytes(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))

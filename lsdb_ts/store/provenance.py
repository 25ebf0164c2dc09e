"""Where a catalog comes from: inputs with size and hash, parameters, versions, account of rows, as one readable file.

Whoever makes a catalog says what goes in; nothing in the file tells when or on which machine that was, so that the same
work ends in the same bytes. The date is among the properties. Only what is done to a finished catalog is told with its
date: its order counts.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lsdb_ts.errors import CatalogError
from lsdb_ts.store.files import AnyPath, read_files, state_of, tail
from lsdb_ts.store.seal import TEXT_BLANK, TEXT_KEY, sealed_text
from lsdb_ts.store.write import atomic

PROVENANCE = "provenance.json"
PROVENANCE_KEY = "lsdb_ts_provenance"
"""Property of a catalog that names the file, as seen from the catalog's folder."""
ADDITIONS = "additions"
"""Key of what was done to the catalog since it was made, the first first: each with a date, else like the whole."""
_FORMAT = 1
_WHOLE_BYTES = 4 << 20
"""Files up to this size are hashed as a whole."""
_END_BYTES = 1 << 20
_READ_AT_ONCE = 16
_HASHES = {
    "footer": "SHA-256 of the footer of a Parquet file: its columns, and sizes, places and statistics of all values",
    "content": "SHA-256 of the whole file",
    "end": f"SHA-256 of the last {_END_BYTES} bytes of a file, whose size is told, too",
}


@dataclass(frozen=True)
class Input:
    """One file that went in.

    Attributes
    ----------
    path : str
        Path or URL, without what may be a key.
    size : int
        Bytes.
    hash : str
        SHA-256, in hexadecimal.
    hash_of : str
        Of what: ``footer``, ``content`` or ``end``, as the file itself explains.
    told : mapping
        What else is known: table, rows, format.
    """

    path: str
    size: int
    hash: str
    hash_of: str
    told: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, path: AnyPath, **told: Any) -> Input:
        """Hash a file, by its footer where it has one: that costs one short read, however large the file.

        Raises
        ------
        CatalogError
            The file is missing.
        """
        state = state_of(path)
        if state is None or state[0] is None:
            raise CatalogError(f"{path} is missing, or its size is not told")
        size = int(state[0])
        end = tail(path, 8)
        if len(end) == 8 and end[-4:] == b"PAR1":
            found, hash_of = tail(path, min(int.from_bytes(end[:4], "little") + 8, size)), "footer"
        elif size <= _WHOLE_BYTES:
            found, hash_of = tail(path, size), "content"
        else:
            found, hash_of = tail(path, _END_BYTES), "end"
        return cls(str(path), size, hashlib.sha256(found).hexdigest(), hash_of, told)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**self.told, "path": self.path, "size": self.size, "hash": self.hash, "hash_of": self.hash_of}


def hashed(files: Iterable[tuple[AnyPath, Mapping[str, Any]]]) -> tuple[Input, ...]:
    """Hash many files, several at a time; each comes with what else is known of it."""
    with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="hash") as pool:
        return tuple(pool.map(lambda one: Input.of(one[0], **one[1]), files))


@dataclass(frozen=True)
class Provenance:
    """How a catalog was made.

    Attributes
    ----------
    made_by : str
        What made it: ``repartition``, ``write``, ``margin``; or changed it: ``append``, ``compact``.
    parameters : mapping
        Everything else that the result depends on, as JSON.
    inputs : sequence of Input or mapping
        Files; or catalogs, told by their properties and state.
    account : mapping
        Rows in and out.
    """

    made_by: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Input | Mapping[str, Any], ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form; it explains the hashes in it."""
        files = [each for each in self.inputs if isinstance(each, Input)]
        used = sorted({each.hash_of for each in files})
        return {
            "format": _FORMAT,
            "made_by": self.made_by,
            "versions": versions(),
            "parameters": _unsealed(self.parameters),
            "account": _unsealed(self.account),
            "input_files": len(files),
            "input_bytes": sum(each.size for each in files),
            **({"hashes": {name: _HASHES[name] for name in used}} if used else {}),
            "inputs": [each.to_json() if isinstance(each, Input) else _unsealed(each) for each in self.inputs],
            TEXT_KEY: TEXT_BLANK,
        }

    def write(self, folder: Path) -> None:
        """Write ``provenance.json`` into a folder."""
        _write(folder, self.to_json())

    def write_after(self, former: Path, folder: Path, **told: Any) -> None:
        """Write the ``provenance.json`` of one folder once more into another, with this behind what it tells.

        Parameters
        ----------
        former : pathlib.Path
            Folder with the file; where it has none, because an older version made the catalog, nothing is written.
        folder : pathlib.Path
        **told
            What else is known of the change, like its date.
        """
        if not (former / PROVENANCE).exists():
            return
        known = json.loads((former / PROVENANCE).read_bytes())
        change = {key: value for key, value in self.to_json().items() if key not in {"format", TEXT_KEY}}
        _write(folder, {**known, ADDITIONS: [*known.get(ADDITIONS, ()), {**told, **change}], TEXT_KEY: TEXT_BLANK})


def _write(folder: Path, told: Mapping[str, Any]) -> None:
    with atomic(folder / PROVENANCE) as temporary:
        temporary.write_bytes(sealed_text(json.dumps(told, indent=1, default=str).encode()))


def _unsealed(value: Any) -> Any:
    """Return a JSON value without the checksums of texts that it was made from: a text has one place for its own."""
    if isinstance(value, Mapping):
        return {key: _unsealed(inner) for key, inner in value.items() if key != TEXT_KEY}
    return [_unsealed(inner) for inner in value] if isinstance(value, list | tuple) else value


def versions() -> dict[str, str]:
    """Return the versions that the bytes of a catalog depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in ("lsdb_ts", "pyarrow", "numpy")}}


def read_provenance(folder: AnyPath, properties: Mapping[str, str]) -> dict[str, Any] | None:
    """Read what a catalog says of its making, or return None where it says nothing.

    Parameters
    ----------
    folder : pathlib.Path or RemotePath
        Folder of the catalog.
    properties : mapping
        Those of the catalog: they name the file.

    Raises
    ------
    CatalogError
        The file is there and is not readable.
    """
    named = properties.get(PROVENANCE_KEY)
    if not named:
        return None
    place = folder.parent if named.startswith("../") else folder
    (text,) = read_files([place / named.removeprefix("../")])
    if text is None:
        return None
    try:
        told: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise CatalogError(f"cannot read {place / named}: {error}; remove it, it is not needed") from error
    return told

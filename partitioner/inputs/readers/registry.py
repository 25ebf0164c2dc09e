"""The formats that are known, and which of them a file is in. How each is read is written in its own file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsdb_ts.errors import InputError, PlanError, did_you_mean
from partitioner.inputs.readers.arrow import ArrowReader
from partitioner.inputs.readers.csv import CsvReader
from partitioner.inputs.readers.ecsv import EcsvReader
from partitioner.inputs.readers.fits import FitsReader
from partitioner.inputs.readers.hats import HatsReader, HipscatReader
from partitioner.inputs.readers.lines import CsvOptions
from partitioner.inputs.readers.parquet import ParquetReader
from partitioner.inputs.readers.reader import Options, Reader
from partitioner.inputs.readers.votable import VoTableReader

READERS: tuple[type[Reader], ...] = (
    *(ParquetReader, ArrowReader, CsvReader, EcsvReader, FitsReader, VoTableReader),
    *(HatsReader, HipscatReader),
)


def suffixes() -> tuple[str, ...]:
    """Return how names of files of a known format end."""
    return tuple(suffix for reader in READERS for suffix in reader.suffixes)


def options_of(reader: str | None, csv: Mapping[str, Any]) -> Options:
    """Return what a survey file says of reading; raises PlanError where it makes no sense."""
    CsvOptions.of(csv)
    told = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in csv.items())
    return Options(which=(reader or "").partition(":")[2], csv=told)


def reader_for(path: str, name: str | None = None, options: Options | None = None) -> Reader:
    """Return the reader of a file: the one named, else the one that its name tells.

    Parameters
    ----------
    path : str
    name : str, optional
        Like ``fits``, or ``fits:SOURCES`` for one of several tables.
    options : Options, optional

    Raises
    ------
    PlanError
        There is no format of this name.
    InputError
        The file's name does not tell its format.

    >>> reader_for("raw/object-1.parquet").name
    'parquet'
    """
    known = {reader.name: reader for reader in READERS}
    if name is not None:
        kind = name.partition(":")[0]
        if kind not in known:
            raise PlanError(f'there is no reader "{kind}"; {did_you_mean(kind, known)}')
        return known[kind](options or Options())
    for reader in READERS:
        if path.lower().endswith(reader.suffixes):
            return reader(options or Options())
    raise InputError(
        f"{path}: the name does not tell the format; it may end with {', '.join(suffixes())}, or say "
        f"reader = ... in the survey file, one of {', '.join(known)}"
    )

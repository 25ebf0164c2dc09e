"""Every exception the package raises on purpose, and the words they share; no logic of any domain lives here.

::

    LsdbTsError
    ├── PlanError            known before any task exists: an unknown column, a halo that cannot be had
    ├── InputError           the data given to us are bad: names file, row, value and the way out
    │   ├── SchemaError      a column is missing, or the files of a table disagree
    │   ├── PositionError    NaN or out-of-range coordinates
    │   └── IdError          an id that must be unique is not
    ├── CatalogError         a folder that is not a catalog, or not a finished one
    ├── OutputError          a folder we were told to write to and must not
    │   └── ResumeError      a half-done run of something else: says what changed
    └── RunError             some partitions failed; carries the report, the others are safe on disk
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class LsdbTsError(Exception):
    """Root of all errors raised on purpose by this package."""


class PlanError(LsdbTsError, ValueError):
    """A query that cannot be answered, found while planning it."""


class InputError(LsdbTsError, ValueError):
    """Input data that would make the result wrong."""


class SchemaError(InputError):
    """A missing column, or files of one table whose schemas differ."""


class PositionError(InputError):
    """A position that is not on the sky."""


class IdError(InputError):
    """An identifier that must be unique and is not."""


class CatalogError(LsdbTsError, ValueError):
    """A path that is not a catalog, or a catalog that was never finished."""


class OutputError(LsdbTsError, ValueError):
    """An output folder that must not be written to."""


class ResumeError(OutputError):
    """A half-done run whose identity differs from the one asked for."""


@dataclass(frozen=True)
class Failure:
    """One piece of work that failed: what it was and why."""

    item: str
    """The piece, as a person would name it: a pixel, an input file."""
    error: str
    """Type and message of the exception."""
    traceback: str = ""


class RunError(LsdbTsError, RuntimeError):
    """Some pieces of a run failed. ``failures`` lists them; everything else was done and kept."""

    def __init__(self, message: str, failures: Sequence[Failure] = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known names come nearest to an unknown one.

    >>> did_you_mean("objctId", ["objectId", "ra", "dec"])
    'did you mean "objectId"?'
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f'"{n}"' for n in near) + "?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"there are: {shown}"

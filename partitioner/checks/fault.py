"""Something that is wrong with a catalog: where, what stands there, what should, and the way out. No looking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

AGAIN = "restore the file from a copy, or make the catalog again"
NOTHING = "nothing needs to be done"


@dataclass(frozen=True)
class Fault:
    """Something wrong, and where."""

    file: str
    row: int | None
    """Number of the first row concerned, counted from 0; None where it is not about a row."""
    what: str
    is_note: bool = False
    """True for what other writers do differently and readers live with: worth knowing, not corrupt."""
    kind: str = ""
    """The same for all rows with the same trouble."""
    got: str = ""
    """What stands there."""
    need: str = ""
    """What should stand there."""
    way_out: str = AGAIN
    rows: int = 1
    """Rows of the file with the same trouble, this one the first."""

    def __str__(self) -> str:
        return f"{self.file}{'' if self.row is None else f', row {self.row}'}: {self.told}"

    @property
    def told(self) -> str:
        """What is wrong, in one sentence."""
        more = f", the first of {self.rows} such rows" if self.rows > 1 else ""
        values = [f"{name} {value}" for name, value in (("got", self.got), ("need", self.need)) if value]
        return f"{self.what}{more}{': ' if values else ''}{', '.join(values)}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        told = {"file": self.file, "row": self.row, "what": self.what, "got": self.got, "need": self.need}
        return {**told, "rows": self.rows, "way_out": self.way_out}


def first(
    file: str,
    bad: NDArray[np.bool_],
    what: str,
    *,
    first_row: int = 0,
    told: Callable[[int], tuple[str, str]] = lambda row: ("", ""),
    is_note: bool = False,
) -> Iterable[Fault]:
    """Return one fault for all bad rows of a table, or none.

    Parameters
    ----------
    file, what : str
    bad : numpy.ndarray of bool, shape (n,)
    first_row : int
        Number in the file of the table's first row.
    told : callable
        Returns (what stands in a row of the table, what should).
    is_note : bool
    """
    n = int(np.count_nonzero(bad))
    if not n:
        return []
    row = int(np.argmax(bad))
    got, need = told(row)
    return [Fault(file, first_row + row, what, is_note, what, got, need, rows=n)]


def merged(faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults of one file, those of rows with the same trouble as one."""
    found: dict[tuple[str, str], Fault] = {}
    for number, fault in enumerate(faults):
        key = (fault.file, fault.kind if fault.row is not None and fault.kind else f"\0{number}")
        known = found.get(key)
        found[key] = fault if known is None else replace(known, rows=known.rows + fault.rows)
    return list(found.values())


def without_repeats(found: Iterable[Fault]) -> list[Fault]:
    """Return all faults of a catalog, but of each kind of note only the first, with the number of files it is in."""
    notes: dict[str, list[Fault]] = {}
    faults = []
    for fault in found:
        if fault.is_note:
            notes.setdefault(fault.kind or fault.what, []).append(fault)
        else:
            faults.append(fault)
    for alike in notes.values():
        more = f"; the same in {len(alike) - 1} more files" if len(alike) > 1 else ""
        faults.append(replace(alike[0], what=alike[0].what + more))
    return faults

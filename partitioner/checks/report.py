"""What a verification found, and what it did not look at. How it is shown is not known here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from partitioner.checks.fault import AGAIN, Fault


@dataclass(frozen=True)
class Report:
    """What a verification found."""

    path: str
    catalogs: tuple[str, ...]
    files: int
    """Files of which every byte was read."""
    rows: int
    """Rows read, those of margins and indexes included."""
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]
    partitions: int = 0
    """Partitions of which the rows were read."""
    of_partitions: int = 0
    """All there are."""
    skipped: tuple[str, ...] = ()
    """What was not looked at, because only a sample of the partitions was."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong in what was looked at; notes do not count."""
        return not self.faults

    @property
    def ways_out(self) -> tuple[str, ...]:
        """What to do about the faults, and about notes that something in particular can be done about; each once."""
        told = [*self.faults, *(note for note in self.notes if note.way_out != AGAIN)]
        return tuple(dict.fromkeys(fault.way_out for fault in told if fault.way_out))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {
            "path": self.path,
            "ok": self.ok,
            "catalogs": list(self.catalogs),
            "files": self.files,
            "rows": self.rows,
            "partitions": self.partitions,
            "of_partitions": self.of_partitions,
            "skipped": list(self.skipped),
            "faults": [fault.to_json() for fault in self.faults],
            "notes": [fault.to_json() for fault in self.notes],
        }

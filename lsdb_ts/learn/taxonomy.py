"""The classes a classifier tells apart, and the kinds they belong to. No numbers are learned here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Taxonomy:
    """Classes in a fixed order, and the broader kind of those that have one.

    >>> tree = Taxonomy(("rr_lyrae", "cepheid", "agn"), {"rr_lyrae": "pulsating", "cepheid": "pulsating"})
    >>> tree.kinds
    ('pulsating', 'pulsating', 'agn')
    >>> tree.codes(["agn", "cepheid"])
    array([2, 1])
    """

    labels: tuple[str, ...]
    parents: Mapping[str, str]
    """Label -> broader kind. A label without one is its own kind."""

    def __post_init__(self) -> None:
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if twice:
            raise InputError(f'the taxonomy names the class "{twice[0]}" twice; give every class one name')
        for label in self.parents:
            if label not in self.labels:
                raise InputError(f'the taxonomy has no class "{label}"; {did_you_mean(label, self.labels)}')

    @classmethod
    def flat(cls, labels: Iterable[str]) -> Taxonomy:
        """Return the taxonomy of classes that share nothing, in alphabetic order."""
        return cls(tuple(sorted(set(labels))), {})

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each label, in the order of the labels."""
        return tuple(self.parents.get(label, label) for label in self.labels)

    def codes(self, labels: Iterable[object]) -> NDArray[np.int64]:
        """Return the place of each label, or of its text, among ``labels``.

        Raises
        ------
        InputError
            A label is missing or unknown; names its row.
        """
        place = {label: i for i, label in enumerate(self.labels)}
        wanted = [None if label is None else str(label) for label in labels]
        for row, label in enumerate(wanted):
            if label not in place:
                near = "drop the row, or give it a class" if label is None else did_you_mean(label, self.labels)
                raise InputError(f"the label of row {row} is {label!r}, which is no class of the taxonomy; {near}")
        return np.array([place[label] for label in wanted if label is not None], dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the taxonomy as plain JSON values."""
        return {"labels": list(self.labels), "parents": dict(self.parents)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Taxonomy:
        """Build a taxonomy from what `to_json` returned."""
        return cls(tuple(value["labels"]), dict(value["parents"]))

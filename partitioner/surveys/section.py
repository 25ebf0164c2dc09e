"""A part of a settings file that says where it stands when something in it is wrong. What is set stands elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lsdb_ts.errors import PlanError, did_you_mean

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """A part of the file, which knows where it stands."""

    where: str
    content: Mapping[str, Any]

    def knows(self, keys: Iterable[str]) -> None:
        """Raise PlanError unless every key is one of these."""
        known = list(keys)
        for key in self.content:
            if key not in known:
                raise PlanError(f'{self.where} has an unknown key "{key}"; {did_you_mean(key, known)}')

    def part(self, key: str) -> Section:
        """Return a section inside this one; an empty one where there is none."""
        content = self.content.get(key, {})
        if not isinstance(content, dict):
            raise PlanError(f"{self.where} {key} must be a section, or a mapping like {{...}}; got {content!r}")
        return Section(f"{self.where} {key}", content)

    def text(self, key: str, default: Any = ...) -> Any:
        """Return a text; without a default it must be there."""
        value = self.content.get(key)
        if value is None and default is not ...:
            return default
        if not isinstance(value, str) or not value:
            raise PlanError(f"{self.where} {key} must be a text; got {value!r}")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """Return a mapping of names to texts."""
        part = self.part(key)
        return {name: part.text(name) for name in part.content}

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of names, none of them empty; an empty one where there is no such key."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise PlanError(f'{self.where} {key} must be a list of columns like ["ra", "dec"]; got {value!r}')
        if key in self.content and not value:
            raise PlanError(f"{self.where} {key} is empty: name columns, or leave it out")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """Return true or false; false where there is no such key."""
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            raise PlanError(f"{self.where} {key} must be true or false; got {value!r}")
        return value

    def number(self, key: str, kind: Any, least: float, default: Any) -> Any:
        """Return a number of at least ``least``, or the default where there is no such key."""
        value = self.content.get(key, default)
        if value is default:
            return default
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < float("inf"):
            raise PlanError(f"{self.where} {key} must be a number of at least {least}; got {value!r}")
        return value

    def size(self, key: str) -> int | None:
        """Return a size in bytes, or None where there is no such key."""
        if key not in self.content:
            return None
        try:
            found = in_bytes(self.content[key])
        except PlanError as error:
            raise PlanError(f"{self.where} {key}: {error}") from error
        if not found:
            raise PlanError(f"{self.where} {key} must be more than 0")
        return found

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """Return one of the texts to choose from, or None where there is no such key."""
        value: str | None = self.text(key, None)
        if value is not None and value not in choices:
            raise PlanError(f'{self.where} {key} = "{value}"; {did_you_mean(value, choices)}')
        return value


def in_bytes(text: str | int) -> int:
    """Return a size, given as a number of bytes or with a unit.

    >>> in_bytes("256MB"), in_bytes("1.5 GiB"), in_bytes(1024)
    (256000000, 1610612736, 1024)

    Raises
    ------
    PlanError
        It is no size.
    """
    match = _SIZE.fullmatch(str(text)) if isinstance(text, (str, int)) and not isinstance(text, bool) else None
    if match is None:
        raise PlanError(f'{text!r} is no size: write it like "256MB", "2 GiB" or as a number of bytes')
    number, unit, binary = match.groups()
    power = " kmgt".index(unit.lower() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)


def written_bytes(size: float) -> str:
    """Return a size for people, with a unit as :func:`in_bytes` reads it.

    >>> written_bytes(1536), written_bytes(64 << 20)
    ('1.5 KiB', '64.0 MiB')
    """
    power = min(max(int(math.log2(size)) // 10, 0), 4) if size >= 1 else 0
    return f"{size / 1024**power:.{min(power, 1)}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"

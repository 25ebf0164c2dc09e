"""What known surveys call their columns: a survey file for each, ready to be filled in. How it is read lives elsewhere.

A profile is printed by ``lsdb-ts survey NAME``; a survey file with ``profile = "NAME"`` takes roles and units from it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lsdb_ts.errors import PlanError, did_you_mean

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class KnownTable:
    """What is known of a table of a survey."""

    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns that may play a role, the best first."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units of columns, where the files do not tell."""


@dataclass(frozen=True)
class Profile:
    """What is known of the tables of a survey."""

    name: str
    tables: Mapping[str, KnownTable]

    def table(self, name: str) -> KnownTable:
        """Return what is known of a table, whichever way its name is written; nothing of an unknown one.

        >>> profile("rubin").table("ForcedSource").roles["parent_id"]
        ('objectId',)
        """
        known = {_plain(n): t for n, t in self.tables.items()}
        return known.get(_plain(name), KnownTable())


def names() -> tuple[str, ...]:
    """Return the names of all profiles.

    >>> names()
    ('alerce', 'gaia', 'rubin', 'ztf')
    """
    return tuple(sorted(p.stem for p in _FOLDER.glob("*.toml")))


def text(name: str) -> str:
    """Return a profile as it is printed: a survey file with comments, in which the files are to be filled in.

    Raises
    ------
    PlanError
        There is no such profile; names the nearest.
    """
    if name not in names():
        raise PlanError(f'there is no profile "{name}"; {did_you_mean(name, names())}')
    return (_FOLDER / f"{name}.toml").read_text()


def summary(name: str) -> str:
    """Return the first line of a profile: what it describes.

    >>> summary("gaia")
    'Gaia DR3: gaia_source, with epoch photometry as its light curves'
    """
    return text(name).partition("\n")[0].removeprefix("#").strip()


def profile(name: str) -> Profile:
    """Return what is known of the tables of a survey; raises PlanError where the survey is unknown."""
    found = {}
    for table, section in tomllib.loads(text(name))["tables"].items():
        roles = {role: (c,) if isinstance(c, str) else tuple(c) for role, c in section.get("roles", {}).items()}
        found[table] = KnownTable(roles, section.get("units", {}))
    return Profile(name, found)


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()

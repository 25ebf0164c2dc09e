"""Synthetic skies and surveys for tests, demos and users; nothing here is needed to work on real data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsdb_ts.testing.skies import hard_sky, perturbed

__all__ = ["hard_sky", "perturbed"]

_HOMES = {"hard_sky": "skies", "perturbed": "skies"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"lsdb_ts.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Synthetic skies and surveys for tests, demos and users; nothing here is needed to work on real data."""

from __future__ import annotations

import importlib

_HOMES = {
    "hard_sky": "skies",
    "perturbed": "skies",
    "SimulatedSurvey": "survey",
    "simulate_survey": "survey",
    "simulate_reference": "reference",
    "EPOCH_JYEAR": "universe",
    "REFERENCE_JYEAR": "reference",
    "assert_lazy": "reads",
    "assert_reads": "reads",
}

__all__ = [
    "hard_sky",
    "perturbed",
    "SimulatedSurvey",
    "simulate_survey",
    "simulate_reference",
    "EPOCH_JYEAR",
    "REFERENCE_JYEAR",
    "assert_lazy",
    "assert_reads",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"lsdb_ts.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

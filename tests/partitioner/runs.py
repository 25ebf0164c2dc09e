"""Runs of stored plans of many small pieces, and what they end in: for the tests of interruptions."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

import pytest

from lsdb_ts.store.hats import WORK
from partitioner import begin, plan
from partitioner.inputs import tables as inputs
from partitioner.planning import estimate

MADE = "2026-01-01T00:00UTC"


def small_plan(survey, out: Path, **options) -> Path:
    """Store a plan of some 40 pieces of work, made on a day of its own; return its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "UNIT_ROWS", 400)
        patch.setattr(estimate, "BUCKET_BYTES", 10_000)
        planned = plan(survey, out, show=False, **options)
    begin(dataclasses.replace(planned, made=MADE))
    return out


def copied(stored: Path, out: Path) -> Path:
    """Copy a stored plan: it may be carried out anywhere."""
    shutil.copytree(stored / WORK, out / WORK)
    return out


def digest(out: Path) -> dict[str, str]:
    """Return the hash of every file."""
    files = [p for p in sorted(out.rglob("*")) if p.is_file()]
    return {p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

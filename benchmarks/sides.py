"""The sides of a comparison: one process for each, asked in turns, its memory and reads watched from here.

What a side does is in side_*.py; what it is asked, in the benchmarks.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import psutil
from meter import REPLY

from tests.interop.environment import (
    acid_environment,
    light_curve_environment,
    peer_environment,
    polars_environment,
)

HERE = Path(__file__).resolve().parent
SAMPLE_SECONDS = 0.02
SAMPLES_BETWEEN_LISTINGS = 10
OURS, LSDB, ACID, POLARS = "lsdb_ts", "LSDB", "pyacid", "polars"
LIGHT_CURVE, FEETS, CESIUM, ALERCE, NESTED_PANDAS = "light-curve", "feets", "cesium", "ALeRCE", "nested-pandas"
ASTROPY, NIFTY, CUPERIOD = "astropy", "nifty-ls", "cuPeriod"
ALERCE_PYTHON = "LSDB_TS_ALERCE_PYTHON"
"""Environment variable: the interpreter of an environment with ALeRCE's turbofats, which is on no package index."""
_OF_CURVES = {
    LIGHT_CURVE: LIGHT_CURVE,
    FEETS: FEETS,
    CESIUM: CESIUM,
    ASTROPY: "periodograms",
    NIFTY: "periodograms",
    CUPERIOD: "cuperiod",
}
"""Engine -> environment."""
CORES = len(os.sched_getaffinity(0))


@dataclass
class Case:
    """One piece of work and how each side is asked for it."""

    title: str
    sides: dict[str, dict]
    """Name of a side, which begins with the engine's -> request for its side_*.py."""
    rows: int = 0
    """Rows of each catalog."""
    made: str = ""
    """When it was measured."""
    cold: dict[str, list[dict]] = field(default_factory=dict)
    """Side -> first calls, each in a fresh process: imports and compiled code are loaded in them."""
    warm: dict[str, list[dict]] = field(default_factory=dict)
    """Side -> later calls."""

    def with_sides_of(self, later: Self) -> Self:
        """Return the case with what a later measurement of some or all sides found in place of what was."""
        names = ("sides", "cold", "warm")
        return replace(self, made=later.made, **{n: {**getattr(self, n), **getattr(later, n)} for n in names})


def carry_out(case: Case, rounds: int, calls: int, budget_s: float) -> None:
    """Let the sides take turns, a fresh process for each side and round; none idles beside another.

    Each process is called once cold, then up to ``calls`` times, until the calls have taken ``budget_s``. A side whose
    first warm call took four times that is not asked again.
    """
    for _ in range(rounds):
        for name, request in case.sides.items():
            if name in case.warm and case.warm[name][0]["seconds"] > 4 * budget_s:
                continue
            with side(name, request) as process:
                case.cold.setdefault(name, []).append(process.call())
                spent = 0.0
                for _ in range(calls):
                    found = process.call()
                    case.warm.setdefault(name, []).append(found)
                    spent += found["seconds"]
                    if spent > budget_s:
                        break


class Side:
    """A process that does one job whenever it is asked to."""

    def __init__(self, python: str, script: str, request: Mapping) -> None:
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONWARNINGS"}}
        ours = {"PYTHONPATH": str(HERE.parent)} if script == "side_ours.py" else {}
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [python, str(HERE / script), json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**clean, **ours},
        )
        self._answer()

    def call(self) -> dict:
        """Have the job done once; return what it took."""
        with watching(self._process.pid) as seen:
            print("go", file=self._process.stdin, flush=True)
            told = self._answer()
        return {**told, **asdict(seen)}

    def _answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith(REPLY):
                return json.loads(line.removeprefix(REPLY))
        self._errors.seek(0)
        raise SystemExit(f"a side failed:\n{self._errors.read()[-4000:]}")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._errors.close()


@contextmanager
def side(name: str, request: Mapping) -> Iterator[Side]:
    """Start the engine that a side's name begins with."""
    started = Side(*_engine(name), request)
    try:
        yield started
    finally:
        started.close()


def _engine(name: str) -> tuple[str, str]:
    """Return interpreter and script of an engine."""
    if name.startswith(OURS):
        return sys.executable, "side_ours.py"
    if name.startswith(ACID):
        return str(acid_environment().python), "side_acid.py"
    if name.startswith(POLARS):
        return str(polars_environment().python), "side_polars.py"
    if name.startswith(ALERCE):
        return os.environ[ALERCE_PYTHON], "side_features.py"
    for engine, environment in _OF_CURVES.items():
        if name.startswith(engine):
            return str(light_curve_environment(environment).python), "side_features.py"
    return str(peer_environment().python), "side_features.py" if name.startswith(NESTED_PANDAS) else "side_lsdb.py"


@dataclass
class Seen:
    """What a process and its children took, seen from outside."""

    bytes_read: int = 0
    """Bytes asked of the operating system in read calls, whether or not from its cache; not what was memory-mapped."""
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    """Largest sum of resident memory that is no file's and not shared: libraries and mapped files do not count."""
    idle_bytes: int = 0
    """The same before the first of it was done."""


@contextmanager
def watching(pid: int) -> Iterator[Seen]:
    """Watch a process and its children while the context is open."""
    seen, stop = Seen(), threading.Event()
    root = psutil.Process(pid)
    members = {root.pid: root}
    read_by: dict[int, int] = {}
    cpu_by: dict[int, float] = {}

    def sample() -> None:
        private = 0
        for process in list(members.values()):
            try:
                memory, times = process.memory_info(), process.cpu_times()
                private += memory.rss - memory.shared
                read_by[process.pid] = process.io_counters().read_chars
                cpu_by[process.pid] = times.user + times.system
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                members.pop(process.pid, None)
        seen.peak_bytes = max(seen.peak_bytes, private)

    def listing() -> None:
        members.update({p.pid: p for p in root.children(recursive=True) if p.pid not in members})

    def watch() -> None:
        turn = 0
        while not stop.wait(SAMPLE_SECONDS):
            turn += 1
            if turn % SAMPLES_BETWEEN_LISTINGS == 0:
                listing()
            sample()

    listing()
    sample()
    before = sum(read_by.values()), sum(cpu_by.values())
    seen.idle_bytes = seen.peak_bytes
    sampler = threading.Thread(target=watch, daemon=True)
    sampler.start()
    try:
        yield seen
    finally:
        stop.set()
        sampler.join()
        listing()
        sample()
        seen.bytes_read = sum(read_by.values()) - before[0]
        seen.cpu_seconds = sum(cpu_by.values()) - before[1]

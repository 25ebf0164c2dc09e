"""A function is the same again in any process, and another one when anything that it does has changed."""

import functools
import json
import subprocess
import sys
import types

import numba
import numpy as np
import pytest

from lsdb_ts.identity import code_of, identify, settled

TYPED = """
FACTOR = {factor}
def amplitude(frame, scale=2.0):
    return [(lambda value: FACTOR * value * scale)(v) for v in frame]
"""


def typed(factor=3.0):
    """Return a function as a notebook's cell makes it: in a module without a file."""
    module = types.ModuleType("cell")
    exec(TYPED.format(factor=factor), module.__dict__)
    return module.amplitude


def test_a_function_without_source_is_the_same_in_every_process():
    here = json.dumps(identify(typed()))
    code = (
        "import json, types; from lsdb_ts.identity import identify; module = types.ModuleType('cell');"
        f"exec({TYPED.format(factor=3.0)!r}, module.__dict__); print(json.dumps(identify(module.amplitude)))"
    )
    # What is on the heap before moves the addresses of code.
    for before in ("", "kept = [object() for _ in range(100_000)];"):
        done = subprocess.run([sys.executable, "-c", before + code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == here
    assert json.dumps(identify(typed(4.0))) != here


WEIGHT = 2.0


@numba.njit
def weighted(values):
    return WEIGHT * values.sum()


def summed(frame):
    return weighted(np.asarray(frame))


def test_a_function_that_numba_compiles_counts_with_its_constants(monkeypatch):
    before = identify(summed)
    assert before["globals"]["weighted"]["globals"] == {"WEIGHT": 2.0}
    monkeypatch.setitem(globals(), "WEIGHT", 3.0)
    assert identify(summed) != before


class Scaled:
    def __init__(self, func, factor):
        self.func, self.factor = func, factor

    def __call__(self, frame):
        return self.factor * self.func(frame)


def test_an_object_that_is_called_counts_with_all_that_it_holds():
    one, same, other = (Scaled(np.sum, factor) for factor in (1.0, 1.0, 2.0))
    assert identify(one) == identify(same) != identify(other)
    assert identify(one.__call__) == identify(same.__call__) != identify(other.__call__)
    assert settled({"f": one}) == settled({"f": same}) != settled({"f": other})


class Base:
    pass


def made(body, base=Base):
    return type("Own", (base,), {"__module__": "user", **body})


@pytest.mark.parametrize(
    "body",
    [
        {"factor": 2.0, "value": lambda self: 1},
        {"factor": 1.0, "value": lambda self: 2},
        {"factor": 1.0, "value": property(lambda self: 2)},
        {"factor": 1.0, "value": lambda self: 1, "table": np.arange(5000)},
    ],
)
def test_the_code_of_a_class_is_its_methods_constants_and_parents(body):
    plain = {"factor": 1.0, "value": lambda self: 1}
    assert code_of(made(plain), Base) == code_of(made(dict(plain)), Base)
    assert code_of(made(body), Base) != code_of(made(plain), Base)
    parent = made(body)
    assert code_of(made({}, parent), Base) != code_of(made({}, made(plain)), Base)


@functools.lru_cache
def cached(value):
    return WEIGHT * value


def uses_cached(frame):
    return cached(1.0)


def test_a_function_whose_results_are_kept_counts_as_it_is_written(monkeypatch):
    before = identify(uses_cached)
    monkeypatch.setitem(globals(), "WEIGHT", 3.0)
    assert identify(uses_cached) != before


def test_sets_are_the_same_in_every_process():
    code = "import json; from lsdb_ts.identity import settled; print(json.dumps(settled({'a', 'b', 'c', 1, 2.5})))"
    told = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(4)}
    assert told == {json.dumps(settled({"a", "b", "c", 1, 2.5})) + "\n"}


def test_large_values_are_told_apart_in_their_middle():
    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1.0
    assert settled(one) == settled(one.copy()) != settled(other)

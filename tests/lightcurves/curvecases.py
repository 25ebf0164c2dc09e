"""Awkward light curves, and the same as rows of Python: what steps are held against."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.pipeline import Pipeline
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step
from lsdb_ts.schema import Roles, with_unit

Epoch = dict[str, Any]
Curve = list[Epoch]
BANDS = ["g", "r", "i"]
KINDS = {
    "time": pa.float64(),
    "band": pa.string(),
    "psfFlux": pa.float64(),
    "psfFluxErr": pa.float64(),
    "flags": pa.int32(),
    "visit": pa.int64(),
}
ROLES = Roles(time="time", band="band", flux="psfFlux", flux_error="psfFluxErr", quality="flags")


def _epoch(rng: np.random.Generator, i: int) -> Epoch:
    epoch: Epoch = {
        "time": 60_000.0 + round(float(rng.uniform(0, 40)), 1),
        "band": str(rng.choice(BANDS)),
        "psfFlux": float(rng.normal(100, 20)),
        "psfFluxErr": float(rng.uniform(5, 15)),
        "flags": int(rng.choice([0, 0, 0, 1, 6])),
        "visit": (1 << 60) + i,
    }
    for part, odd in (
        ("time", [None, math.nan]),
        ("band", [None]),
        ("psfFlux", [None, math.nan, math.inf, -50.0, 0.0, 900.0]),
        ("psfFluxErr", [None, math.nan, math.inf, 0.0, -1.0]),
        ("flags", [None]),
    ):
        if rng.random() < 0.08:
            epoch[part] = odd[int(rng.integers(len(odd)))]
    return epoch


def awkward(seed: int = 0, n: int = 60) -> list[Curve | None]:
    """Draw curves: null, empty, of one epoch, with all values missing, with equal times, and others; unsorted."""
    rng = np.random.default_rng(seed)
    curves: list[Curve | None] = [None, []]
    for i in range(n):
        curve = [_epoch(rng, 1000 * i + k) for k in range(int(rng.integers(0, 30)))]
        if i % 7 == 1 and curve:
            curve += [{**curve[0], "psfFlux": 1.0, "psfFluxErr": 2.0, "visit": 5}, dict(curve[0])]
        if i % 7 == 2:
            curve = curve[:1]
        if i % 7 == 3:
            curve = [{**e, "psfFlux": None} for e in curve]
        curves.append(curve)
    curves.insert(5, None)
    return curves


def array(curves: Iterable[Curve | None], kinds: dict[str, pa.DataType] = KINDS, large: bool = False) -> pa.StructArray:
    """Make a nested column of curves."""
    lists = [pa.field(n, pa.large_list(k) if large else pa.list_(k)) for n, k in kinds.items()]
    rows = [None if c is None else {n: [e[n] for e in c] for n in kinds} for c in curves]
    return pa.array(rows, pa.struct(lists))


def shape(kinds: dict[str, pa.DataType] = KINDS, roles: Roles = ROLES, unit: str | None = "nJy") -> Shape:
    fields = [pa.field(n, k) for n, k in kinds.items()]
    fluxes = (roles.flux, roles.flux_error)
    return Shape(tuple(with_unit(f, unit) if unit and f.name in fluxes else f for f in fields), roles)


def rows_of(column: pa.StructArray) -> list[Curve | None]:
    """Return a nested column as rows of Python."""
    found: list[Curve | None] = []
    for curve in column.to_pylist():
        if curve is None:
            found.append(None)
        else:
            found.append([dict(zip(curve, values, strict=True)) for values in zip(*curve.values(), strict=True)])
    return found


def number(value: Any) -> float:
    return math.nan if value is None else float(value)


def after(step: Step, curves: list[Curve | None], like: Shape | None = None, **rows: list[Any]) -> list[Curve | None]:
    """Take a step with curves, and return what comes out as rows of Python; checks what every step promises."""
    like = like or shape()
    kinds = {f.name: f.type for f in like.parts}
    pipeline = Pipeline("lc", like).then(step)
    table = pa.table({"lc": array(curves, kinds), **{n: pa.array(v) for n, v in rows.items()}})
    out = pipeline.run(table)
    check(out, pipeline.shape, [c is None for c in curves])
    whole = out.to_arrow()
    for name in pipeline.shape.names:
        alone = pipeline.run(_only(table, pipeline.needs((name,))), (name,)).only((name,)).to_arrow()
        assert _same(alone.field(name), whole.field(name)), f"{name} depends on what else is read"
    json.dumps(pipeline.identity())
    assert pipeline.summary.startswith("lc | ")
    return rows_of(whole)


def check(curves: Curves, like: Shape, missing: list[bool]) -> None:
    assert set(curves.parts) == set(like.names)
    assert curves.missing.tolist() == missing
    assert curves.offsets[0] == 0
    assert (np.diff(curves.offsets) >= 0).all()
    assert not np.diff(curves.offsets)[curves.missing].any()
    for part in like.parts:
        assert len(curves.parts[part.name]) == curves.n_epochs
        assert curves.parts[part.name].type == part.type


def _only(table: pa.Table, needs: tuple[str, ...]) -> pa.Table:
    kept: dict[str, Any] = {n: table[n] for n in needs if n in table.column_names}
    for column in {n.partition(".")[0] for n in needs} - kept.keys():
        whole = table[column].combine_chunks()
        parts = [f for f in whole.type if f"{column}.{f.name}" in needs]
        mask = whole.is_null()
        kept[column] = pa.StructArray.from_arrays([whole.field(f.name) for f in parts], fields=parts, mask=mask)
    return pa.table(kept)


def _same(a: pa.Array, b: pa.Array) -> bool:
    return repr(a.to_pylist()) == repr(b.to_pylist())


def close(found: list[Curve | None], expected: list[Curve | None], rel: float = 1e-9) -> None:
    """Assert that curves are equal, floats nearly."""
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        if mine is None or theirs is None:
            assert mine is theirs
            continue
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert set(one) == set(other)
            for name, value in other.items():
                if isinstance(value, float) and math.isfinite(value):
                    assert one[name] is not None
                    assert math.isclose(one[name], value, rel_tol=rel, abs_tol=1e-9), (name, one[name], value)
                else:
                    assert repr(one[name]) == repr(value), (name, one[name], value)


def each(curves: list[Curve | None], function: Callable[[Curve], Curve]) -> list[Curve | None]:
    """Apply the slow form of a step to each curve that is there."""
    return [None if curve is None else function(curve) for curve in curves]

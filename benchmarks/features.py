"""How many objects a second one thread makes features of, without periods, beside the peers and beside rows one by one.

    python benchmarks/features.py [--data FOLDER] [--objects N] [--only WORD ...] [--sides WORD,WORD] [--anew]

Six bands of 50 epochs; the sides take turns, each in its own process and environment, on the same light curves.
ALeRCE's extractor is measured where LSDB_TS_ALERCE_PYTHON names the interpreter of an environment that has it. Each
case is recorded when it is done, and what earlier runs found stays. Writes a section of RESULTS.md.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    # Read by the sides when they load their libraries.
    os.environ[variable] = "1"

import curves  # noqa: E402  (what follows is found from the root)
import numpy as np  # noqa: E402
from features_page import (  # noqa: E402
    APART,
    BY_ROW,
    COMMON,
    COMMON_STARRED,
    DIGITS,
    FAST,
    MIXED,
    STARRED,
    STARRED_OF_BANDS,
    page,
    summary,
)
from report import record, recorded, table  # noqa: E402
from sides import ALERCE, ALERCE_PYTHON, CESIUM, FEETS, NESTED_PANDAS, OURS, Case, carry_out  # noqa: E402

SECTION = "Features"
EPOCHS = 50
FEW = {FEETS: 20, CESIUM: 60, ALERCE: 100, NESTED_PANDAS: 1000, "reduce": 1000}
"""Objects for sides that take long; the first of those that all have."""
RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Ours are float32. The absolute difference is in units of the largest value of a feature."""
MAY_BE_NULL = 1e-3
"""Share of bands in which ours may be null and a peer's a number: the scatter of one value is 0 for some."""


def cases(data: Path, objects: int) -> list[Case]:
    """Return what is measured, and how each side is asked for it."""
    path = curves.drawn(data, objects, EPOCHS)
    outs = data / "out"
    outs.mkdir(exist_ok=True)

    def asked(job: str, **more) -> dict:
        n = min(objects, more.pop("few", objects))
        return {"job": job, "path": str(path), "objects": n, **more}

    every, less = list(curves.IN_COMMON), list(curves.STARRED_IN_COMMON)
    starred = {
        OURS: asked("features", names=list(curves.STARRED)),
        FEETS: asked("feets", few=FEW[FEETS]),
        CESIUM: asked("cesium", few=FEW[CESIUM]),
    }
    if os.environ.get(ALERCE_PYTHON):
        starred[ALERCE] = asked("alerce", few=FEW[ALERCE])
    common, common_starred = (
        {
            OURS: asked("features", names=names, definition="light_curve"),
            APART: asked("light_curve", names=names),
            MIXED: asked("light_curve", names=names, mixed=True),
        }
        for names in (every, less)
    )
    by_row = {
        OURS: asked("features", names=list(curves.BY_ROW)),
        f"{OURS}, reduce": asked("map_rows", few=FEW["reduce"]),
        NESTED_PANDAS: asked("nested_pandas", few=FEW[NESTED_PANDAS]),
    }
    found = []
    titled = {
        FAST: {OURS: asked("features")},
        STARRED: starred,
        STARRED_OF_BANDS: {OURS: asked("features", names=list(curves.STARRED_OF_BANDS))},
        COMMON: common,
        COMMON_STARRED: common_starred,
        BY_ROW: by_row,
    }
    for number, (title, sides) in enumerate(titled.items()):
        for k, request in enumerate(sides.values()):
            request["out"] = str(outs / f"{number}_{k}.npz")
        found.append(Case(title, sides, objects, f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}"))
    return found


def checked(case: Case) -> Case:
    """Compare the outputs of all sides with ours, where they have the same name; stop where they differ."""
    ours = np.load(case.sides[OURS]["out"])
    for name, request in case.sides.items():
        theirs = np.load(request["out"])
        shared = [feature for feature in theirs.files if feature in ours.files]
        if not shared:
            raise SystemExit(f"{case.title}: {name} has no output that can be compared")
        for feature in shared:
            here, there = ours[feature][: request["objects"]], theirs[feature]
            room = ABSOLUTE * np.max(np.abs(here), where=np.isfinite(here), initial=0.0)
            wrong = ~np.isclose(here, there, rtol=RELATIVE, atol=room, equal_nan=True)
            silent = np.isnan(here) & wrong
            if silent.mean() <= MAY_BE_NULL:
                wrong &= ~silent
            if wrong.any():
                place = tuple(np.argwhere(wrong)[0].tolist())
                raise SystemExit(
                    f"{case.title}: {name} and ours differ in {feature} of {wrong.sum()} bands, first at {place}: "
                    f"{there[place]} and {here[place]}"
                )
    return case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="keep the light curves here, and use them again")
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--only", nargs="+", default=[""], help="cases with one of these words in their titles")
    parser.add_argument("--sides", default="", help="sides with one of these words in their names (default: all)")
    parser.add_argument("--rounds", type=int, default=2, help="fresh processes of each side (default %(default)s)")
    parser.add_argument("--calls", type=int, default=5, help="calls of each after the first (default %(default)s)")
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    asked = parser.parse_args()
    found = {} if asked.anew else {title: Case(**raw) for title, raw in recorded(SECTION).items()}
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as temporary:
        for case in cases(asked.data or Path(temporary), asked.objects):
            if not any(word in case.title for word in asked.only):
                continue
            wanted = asked.sides.split(",")
            case.sides = {n: r for n, r in case.sides.items() if n == OURS or any(word in n for word in wanted)}
            carry_out(case, asked.rounds, asked.calls, 20.0)
            checked(case)
            earlier = found.get(case.title)
            found[case.title] = case if earlier is None else earlier.with_sides_of(case)
            print(table(summary(case), DIGITS, 2), end="\n\n", flush=True)
            record(SECTION, page(found), {title: asdict(case) for title, case in found.items()})


if __name__ == "__main__":
    main()

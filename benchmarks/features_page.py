"""What features took, as tables: objects a second and core by side, and what issue 5 wanted of them.

What is asked of the sides is in features.py.
"""

import statistics
from collections.abc import Mapping, Sequence

import curves
from report import table, where_and_when
from sides import ALERCE, CESIUM, FEETS, LIGHT_CURVE, NESTED_PANDAS, OURS, Case

from tests.interop.environment import LIGHT_CURVE_PINS

FAST, STARRED, STARRED_OF_BANDS, BY_ROW = "all fast ones", "starred", "starred, of bands", "by row"
COMMON, COMMON_STARRED = "in common", "starred in common"
APART, MIXED = f"{LIGHT_CURVE}, bands apart", f"{LIGHT_CURVE}, bands mixed"
DIGITS = {"ours / peer": ",.2f", "found": ",.4g", "wanted": ",g"}


def summary(case: Case) -> list[dict]:
    """Return one row a side: medians of the later calls."""
    speeds = {name: speed(calls) for name, calls in case.warm.items()}
    return [
        {
            "work": case.title,
            "side": name,
            "objects / s / core": speeds[name],
            "by the clock": calls[-1]["rows"] / median(calls, "seconds"),
            "ours / peer": None if name == OURS or OURS not in speeds else speeds[OURS] / speeds[name],
            "outputs of a band": calls[-1]["outputs"],
            "objects": calls[-1]["rows"],
            "peak MB": max(call["peak_bytes"] for call in calls) / 1e6,
        }
        for name, calls in case.warm.items()
    ]


def speed(calls: Sequence[Mapping]) -> float:
    """Return objects a second of processor time."""
    return calls[-1]["rows"] / median(calls, "own_cpu_seconds")


def median(calls: Sequence[Mapping], name: str) -> float:
    return statistics.median(call[name] for call in calls)


def judged(work: str, what: str, value: float | None, wanted: float, at_least: bool = True) -> dict:
    """Return the row of a goal: what was wanted, what was found; also of what was not measured."""
    met = value is not None and (value >= wanted if at_least else value <= wanted)
    told = "not measured" if value is None else "yes" if met else "**no**"
    return {"work": work, "what": what, "met": told, "wanted": wanted, "found": value}


def goals(found: Mapping[str, Case]) -> list[dict]:
    """Return one row a goal of issue 5."""
    speeds = {title: {n: speed(calls) for n, calls in case.warm.items()} for title, case in found.items()}

    def ratio(work: str, peer: str) -> float | None:
        of = speeds.get(work, {})
        return of[OURS] / of[peer] if OURS in of and peer in of else None

    of_light_curve = [
        judged(work, f"speed over that of {peer}, at least", ratio(work, peer), 1.0)
        for work in (COMMON, COMMON_STARRED)
        for peer in (MIXED, APART)
    ]
    slow = (FEETS, CESIUM, ALERCE)
    return [
        *(
            judged(work, "objects / s / core, at least", speeds.get(work, {}).get(OURS), 20_000.0)
            for work in (STARRED, STARRED_OF_BANDS)
        ),
        *of_light_curve,
        *(judged(STARRED, f"speed over that of {peer}, at least", ratio(STARRED, peer), 100.0) for peer in slow),
    ]


def page(found: Mapping[str, Case]) -> str:
    """Return the section's text; cases may have been measured one at a time."""
    rows = [row for case in found.values() for row in summary(case)]
    made = sorted(case.made for case in found.values())
    pins = ", ".join(LIGHT_CURVE_PINS[name][0].replace("==", " ") for name in (LIGHT_CURVE, FEETS, CESIUM))
    return f"""{where_and_when()} Cases measured from {made[0]} to {made[-1]} UTC.

{table(rows, DIGITS, 2)}

Against the goals:

{table(goals(found), DIGITS, 3)}

* Objects of 6 bands of 50 epochs each, in memory as Arrow, one thread; a second is one of the processor's, "by the
  clock" one of the wall's. Medians of the calls after the first of a process. The outputs of all sides were compared
  where they mean the same before any time was believed.
* {STARRED}: the {len(curves.STARRED)} features that were wanted first and need neither a period nor a fit;
  {STARRED_OF_BANDS}: those without structure functions, Mexican hats, colours and other pairs of bands. {FAST}:
  `FeatureSet.fast()`, every feature that needs no period and no fit. feets: without periods, autoregressions, maps and
  slotted autocorrelation; cesium: its general features without period and quasar model; ALeRCE: the 26 of its turbofats
  (which no package index has: measured where an environment with it is named).
* {COMMON}: the {len(curves.IN_COMMON)} features of a band that light-curve's Arrow path has, too, by its definitions;
  {COMMON_STARRED}: the {len(curves.STARRED_IN_COMMON)} most wanted of these. {BY_ROW}: eight statistics a band by a
  function of one row in numpy, through `reduce` of a catalog and `map_rows` of {NESTED_PANDAS}; ours computes these
  alone.
* Ours and "bands mixed" take one row an object with a column of bands; "bands apart" is given each band as a row of its
  own, sorted out before the clock. light-curve is spared its checks for NaN and for the sequence; ours makes them.
* Peers: {pins}.
"""

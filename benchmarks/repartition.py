"""How fast, and at what cost, tables become catalogs: beside hats-import, LSDB and polars, each in its own environment.

    python benchmarks/repartition.py --data FOLDER [--only sources wide nested layout growth] [--sides lsdb_ts] [--anew]

The tables are drawn once and kept in the folder. The rows of all sides are compared before any time is believed. Each
case is recorded when it is done, and what earlier runs found of other cases and sides stays, so that it may be measured
in pieces. Writes a section of RESULTS.md and repartition.png.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402  (what follows is found from the root)
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import raw_tables  # noqa: E402
from meter import order_free_hash  # noqa: E402
from repartition_page import DEFAULT, LIKE, MILLION, NESTED, POLARS, SORTED, drawn, limit, page  # noqa: E402
from report import record, recorded  # noqa: E402
from sides import OURS, Case, carry_out  # noqa: E402

SECTION = "Repartition"
CASES = ("sources", "wide", "nested", "layout", "growth")
MARGIN_ARCSEC = 5.0
SOURCES, WIDE, OBJECTS, EACH = 20 * MILLION, 5 * MILLION, MILLION, 20
GROWTH = (2, 10, 50)
"""Millions of rows."""
LAYOUT_ORDER = 10
LAYOUT_ROWS = 1_000_000_000


def sources(data: Path) -> Case:
    """Sources of ten columns in ten files."""
    asked = {
        "job": "repartition",
        "files": raw_tables.sources(data / "sources", SOURCES),
        "max_rows": MILLION,
        "margin_arcsec": MARGIN_ARCSEC,
    }
    return _case("sources", asked, data, SOURCES)


def wide(data: Path) -> Case:
    """A table of twenty columns, without a margin, which polars cannot make."""
    files = raw_tables.wide(data / "wide", WIDE)
    case = _case("wide", {"job": "repartition", "files": files, "max_rows": 150_000, "margin_arcsec": 0.0}, data, WIDE)
    case.sides[POLARS] = {"job": "repartition", "files": files, "order": 2, "out": str(data / "out" / "polars")}
    return case


def _case(title: str, asked: Mapping, data: Path, rows: int) -> Case:
    out = data / "out"
    sides = {
        DEFAULT: {**asked, "out": str(out / "peer"), "zstd": False},
        LIKE: {**asked, "out": str(out / "peer3"), "zstd": True},
        OURS: {**asked, "out": str(out / "ours")},
    }
    return Case(title, sides, rows)


def nested(data: Path) -> Case:
    """Sources in the light curves of their objects: LSDB begins with two catalogs, we with raw files."""
    objects, children = raw_tables.objects_and_sources(data / "nested", OBJECTS, EACH)
    catalogs = [_catalog(data / name, files) for name, files in (("objects", objects), ("children", children))]
    asked = {"job": "nest", "objects": str(catalogs[0]), "sources": str(catalogs[1]), "zstd": False}
    out = data / "out"
    sides = {
        NESTED: {**asked, "in_time": False, "out": str(out / "lsdb")},
        SORTED: {**asked, "in_time": True, "out": str(out / "lsdb_sorted")},
        OURS: {
            "job": "nest",
            "objects": objects,
            "sources": children,
            "out": str(out / "ours"),
            "max_rows": 50_000,
            "margin_arcsec": MARGIN_ARCSEC,
        },
    }
    return Case("nested", sides, OBJECTS)


def _catalog(path: Path, files: list[str]) -> Path:
    from partitioner import Survey, run

    if not (path / "collection.properties").exists():
        limit_rows = 50_000 if path.name == "objects" else MILLION
        run(Survey.of_single_table(files, "ra", "dec", path.name, max_rows=limit_rows, margin_arcsec=60.0), path)
    return path


def layout(data: Path) -> Case:
    """Pixels chosen from the rows in each of 12.6 million cells."""
    path = data / "counts.npy"
    if not path.exists():
        cells = 12 << (2 * LAYOUT_ORDER)
        weight = np.random.default_rng(5).lognormal(0, 1, cells)
        np.save(path, np.random.default_rng(6).poisson(weight * (LAYOUT_ROWS / weight.sum())))
    asked = {"job": "layout", "counts": str(path), "max_rows": MILLION}
    return Case("layout", {DEFAULT: asked, OURS: asked}, LAYOUT_ROWS)


def growth(data: Path) -> Iterator[Case]:
    """Yield the sources again in several sizes, with what each thread was at; and what decoding and encoding take."""
    for millions in GROWTH:
        rows = millions * MILLION
        asked = {
            "job": "repartition",
            "files": raw_tables.sources(data / f"sources_{millions}", rows),
            "max_rows": MILLION,
            "margin_arcsec": MARGIN_ARCSEC,
            "out": str(data / "out" / "ours"),
            "phases": True,
        }
        yield Case(f"growth {millions}", {OURS: asked}, rows)


def checked(case: Case, earlier: Case | None) -> Case:
    """Read what was written, put what was found of other sides before beside it; stop if any disagree on the rows."""
    for name, request in case.sides.items():
        if "out" in request:
            rows, check, size = account_of(Path(request["out"]))
            found = [*case.cold[name], *case.warm.get(name, [])]
            found[-1].update(rows=rows, check=check, bytes_written=size)
    whole = case if earlier is None else earlier.with_sides_of(case)
    told = {n: (_last(whole, n)["rows"], _last(whole, n)["check"]) for n in whole.sides}
    if len(set(told.values())) != 1 and case.title != "layout":
        raise SystemExit(f"{case.title}: the sides disagree on the rows, so times mean nothing: {told}")
    return whole


def _last(case: Case, name: str) -> dict:
    return [*case.cold[name], *case.warm.get(name, [])][-1]


def account_of(out: Path) -> tuple[int, int, int]:
    """Return rows and an order-free hash of their ids, those in light curves included, and bytes of all partitions."""
    main = [p for p in out.rglob("*.parquet") if "Npix=" in str(p) and "arcs" not in str(p.relative_to(out))]
    rows, check, size = 0, 0, 0
    for path in main:
        names = pq.read_schema(path).names
        ids = [n for n in ("sourceId", "id", "objectId", "lc") if n in names][: 2 if "lc" in names else 1]
        table = pq.read_table(path, columns=ids, partitioning=None)
        if "lc" in names:
            curves = pc.struct_field(table.column("lc").combine_chunks(), "sourceId")
            of = pc.take(table.column("objectId"), pc.list_parent_indices(curves))
            columns = [of.to_numpy(), pc.list_flatten(curves).to_numpy()]
        else:
            columns = [table.column(ids[0]).to_numpy()]
        rows += columns[0].size
        check = (check + order_free_hash(*columns)) % (1 << 64)
        size += path.stat().st_size
    return rows, check, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="keep the tables here, and use them again")
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--sides", default="", help="sides with one of these words in their names (default: all)")
    parser.add_argument("--rounds", type=int, default=1, help="fresh processes of each side (default %(default)s)")
    parser.add_argument("--calls", type=int, default=1, help="calls of each after the first (default %(default)s)")
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as temporary:
        asked.data = asked.data or Path(temporary)
        measure(asked)


def measure(asked: argparse.Namespace) -> None:
    """Measure the chosen cases, and write the section after each."""
    raw = {} if asked.anew else recorded(SECTION)
    found = {key: Case(**case) for key, case in raw.get("cases", {}).items()}
    limits = raw.get("limits", {})
    asked.data.mkdir(parents=True, exist_ok=True)
    for case in _chosen(asked):
        case.made = f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}"
        case.sides = {n: r for n, r in case.sides.items() if any(word in n for word in asked.sides.split(","))}
        if not case.sides:
            continue
        carry_out(case, asked.rounds, asked.calls, 20.0)
        found[case.title] = checked(case, found.get(case.title))
        if case.title.startswith("growth"):
            limits[case.title] = limit(case.sides[OURS]["files"], Path(case.sides[OURS]["out"]), case.rows)
        shutil.rmtree(asked.data / "out", ignore_errors=True)
        text = page(found, limits)
        print(text, flush=True)
        record(SECTION, text, {"cases": {k: asdict(c) for k, c in found.items()}, "limits": limits})
    drawn(found, limits, HERE / "repartition.png")


def _chosen(asked: argparse.Namespace) -> Iterator[Case]:
    makers = {"sources": sources, "wide": wide, "nested": nested, "layout": layout}
    for name in asked.only:
        if name == "growth":
            yield from growth(asked.data)
        else:
            yield makers[name](asked.data)


if __name__ == "__main__":
    main()

"""The plan of a repartition as people see it in a terminal."""

import io

import pytest
from rich.console import Console

from lsdb_ts.views.terminal import plan_report

PLAN = {
    "out": "/data/survey",
    "tables": {
        "object": {"files": 3, "formats": ["parquet"], "rows": 5_000, "file_bytes": 422_000, "bytes": 1, "units": 1},
        "forced_source": {
            "files": 1200,
            "formats": ["csv", "fits"],
            "rows": 503_860_000_000,
            "file_bytes": 1 << 44,
            "bytes": 1,
            "units": 120_000,
        },
        "visit": {"files": 1, "formats": ["parquet"], "rows": 10, "file_bytes": 10, "bytes": 1, "units": 1},
    },
    "catalogs": [
        {
            "table": "object",
            "path": "survey",
            "rows": 5_000,
            "partitions": 71,
            "orders": [3, 4, 8],
            "largest_partition_rows": 241,
            "largest_partition_bytes": 3_000_000,
            "too_dense": ["Pixel(3, 7)"],
            "margin_arcsec": 10.0,
            "nested": {"forced_source": "lc"},
        },
        {
            "table": "forced_source",
            "path": "forced_source/forced_source",
            "rows": 503_860_000_000,
            "partitions": 620_000,
            "orders": [9],
            "largest_partition_rows": 1_000_000,
            "largest_partition_bytes": 1 << 29,
            "too_dense": [],
            "margin_arcsec": 0.0,
            "nested": {},
        },
    ],
    "refused": {"object": 12, "forced_source": 0},
    "estimate": {
        "scratch_bytes": 1 << 44,
        "output_bytes": 1 << 43,
        "disk_bytes": (1 << 44) + (1 << 43),
        "free_bytes": 1 << 30,
        "memory_bytes": 700 << 20,
        "available_bytes": 8 << 30,
        "workers": 64,
        "threads": 2,
        "seconds": 90_000.0,
        "fits_disk": False,
        "fits_memory": True,
    },
}


def shown(width, **changes):
    console = Console(file=io.StringIO(), width=width, color_system="truecolor", force_terminal=True, highlight=False)
    console.print(plan_report({**PLAN, **changes}, dry_run=True))
    return console.file.getvalue()


def plain(text):
    console = Console(file=io.StringIO(), width=1000)
    from rich.text import Text

    console.print(Text.from_ansi(text))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_plan_fits_the_terminal_and_says_all_there_is_to_know(width):
    text = plain(shown(width))

    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    words = " ".join(text.split())
    for told in ("1,200 csv, fits", "lc of survey", "looked up", "241, 2.9 MiB", "10 arcsec", "none", "3 to 8"):
        assert all(part in words for part in told.split(", ")), told
    assert "12 rows of object have no position on the sky" in words
    assert "1 of survey hold too much at one position: Pixel(3, 7)" in words
    assert "25 h 0 min" in words
    assert "nothing was written (--dry-run)" in words


@pytest.mark.parametrize("width", [80, 120])
def test_numbers_are_not_torn_apart(width):
    text = plain(shown(width))

    for whole in ("503,860,000,000", "about 24.0 TiB of 1.0 GiB free", "about 700.0 MiB of 8.0 GiB", "16.0 TiB"):
        assert whole in text


def test_what_does_not_fit_is_red_and_only_that():
    red = "\x1b[1;31m"
    fits = {**PLAN["estimate"], "fits_disk": True}

    assert f"{red}about 24.0 TiB" in shown(120)
    assert red not in shown(120, estimate=fits)
    assert f"{red}about 700.0 MiB" in shown(120, estimate={**fits, "fits_memory": False})

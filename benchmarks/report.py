"""Write what benchmarks found: each owns a section of RESULTS.md and an entry of results.json; nothing is typed in."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE, RAW = HERE / "RESULTS.md", HERE / "results.json"
TITLE = "# Beside the peers\n\nWritten by the scripts in this folder, a section each.\n"


def record(title: str, text: str, raw: Mapping) -> None:
    """Put a section into the page, in place of the last one of this title, and its numbers beside it."""
    page = PAGE.read_text() if PAGE.exists() else ""
    sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    kept = {s.splitlines()[0]: s.strip() + "\n" for s in sections}
    kept[f"## {title}"] = f"## {title}\n\n{text.strip()}\n"
    PAGE.write_text("\n".join([TITLE, *kept.values()]))
    numbers = json.loads(RAW.read_text()) if RAW.exists() else {}
    RAW.write_text(json.dumps({**numbers, title: raw}, indent=1))


def recorded(title: str) -> dict:
    """Return the numbers that were last put beside a section; nothing where there is none."""
    return json.loads(RAW.read_text()).get(title, {}) if RAW.exists() else {}


def table(rows: Sequence[Mapping], digits: Mapping[str, str], n_words: int) -> str:
    """Return rows as a Markdown table: the first ``n_words`` columns are text, the rest numbers; None is a blank."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * n_words}{' ---: |' * (len(names) - n_words)}"]
    for row in rows:
        cells = [_cell(value, digits.get(name, ",.0f")) for name, value in row.items()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: object, digits: str) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else format(value, digits)


def where_and_when() -> str:
    """Say which machine this is, how busy, and what runs on it."""
    ours = {p: version(p) for p in ("lsdb_ts", "dask", "pyarrow", "pandas", "numba", "numpy")}
    return (
        f"Made {datetime.now(tz=UTC):%Y-%m-%d %H:%M} UTC on {len(os.sched_getaffinity(0))} cores, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}; load average of the last five minutes "
        f"{os.getloadavg()[1]:.1f} (above the number of cores, others were at work on it too). "
        f"Ours: {', '.join(f'{p} {v}' for p, v in ours.items())}."
    )

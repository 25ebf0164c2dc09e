"""The report of a verification on the terminal: the verdict first, each fault with its place, and the ways out."""

import io

from rich.console import Console

from lsdb_ts.views.verify import verify_report
from partitioner import Fault, Report


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=150)
    console.print(verify_report(report))
    return console.file.getvalue()


def report(*faults: Fault, notes: tuple[Fault, ...] = (), skipped: tuple[str, ...] = ()) -> Report:
    return Report("here", ("sim", "sim_10arcs"), 7, 1200, faults, notes, 3, 40, skipped)


def test_what_is_sound_takes_one_line():
    assert shown(report()) == "sound  sim, sim_10arcs: 7 files, 1,200 rows read\n"


def test_faults_have_file_row_values_and_a_way_out():
    fault = Fault("sim/a.parquet", 1017, "is not sorted", got="3", need="at least 5", way_out="make it again", rows=4)

    text = shown(report(fault, fault, notes=(Fault("sim", None, "has no index", is_note=True),)))

    assert text.startswith("2 faults  sim")
    assert "1,017" in text
    assert "is not sorted, the first of 4 such rows: got 3, need at least 5" in text
    assert "note" in text
    assert text.count("make it again") == 1


def test_a_sample_says_what_was_not_looked_at():
    text = shown(report(skipped=("ids that repeat",)))

    assert "3 of 40 partitions were read, and all metadata; not looked at:" in text
    assert "ids that repeat" in text


def test_of_very_many_faults_the_first_are_shown():
    text = shown(report(*(Fault(f"f{i}", None, "is damaged") for i in range(250))))

    assert "... and 50 more faults (--json has all)" in text

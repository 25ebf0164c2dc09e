"""Progress is shown to people, written to logs, and kept from those who want none."""

import io
import re
import sys

import pytest

from lsdb_ts.run import board as boards
from lsdb_ts.run import progress
from lsdb_ts.run.board import Board, Load
from lsdb_ts.run.progress import Show, amount, how_to_show, showing, stage


def loads():
    return [Load("shard", 12_345, 10**9, 40e9), Load("gather", 99_999, 10**9, 40e9, 2.0)]


def work(board):
    with board:
        for name in ("shard", "gather"):
            load = board.begin(name)
            for _ in range(3):
                board.advance(load, 81_000, 3.2e6, fresh=True)
            board.end(load)
        board.note("something by the way")


def test_a_notebook_is_a_kernel_that_runs_not_a_package_that_is_loaded():
    import ipykernel.kernelapp
    import nbformat
    from nbclient import NotebookClient

    assert "IPython" in sys.modules
    assert not progress.watched()
    assert not ipykernel.kernelapp.IPKernelApp.initialized()

    asked = nbformat.v4.new_code_cell("from lsdb_ts.run.progress import watched; print(watched())")
    notebook = nbformat.v4.new_notebook(cells=[asked])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0].text == "True\n"


def test_nobody_looks_so_nothing_is_shown(capsys):
    assert how_to_show(None) is Show.NOTHING
    with stage("count", 3, "units") as advance:
        advance(3)
    work(Board(loads(), 60.0))
    assert capsys.readouterr() == ("", "")


def test_people_are_told_while_kernels_are_compiled(capsys, monkeypatch):
    import numba

    def compiled():
        inner = numba.njit(lambda x: x + 1)
        assert numba.njit(lambda x: 2 * inner(x))(1) == 4

    with stage("features", 3, "pixels", show=True):
        compiled()
        compiled()
    first, last = capsys.readouterr().err.splitlines()
    assert first.endswith("features: compiling, as it does once")
    assert "features: 0 of 3 pixels" in last
    monkeypatch.setattr(progress, "watched", lambda: True)
    seen = []
    monkeypatch.setattr("rich.progress.Progress.update", lambda bar, task, description: seen.append(description))
    with stage("features", 3, "pixels"):
        compiled()
    assert seen == ["compiling", "compiling", "features"]


def test_a_choice_holds_for_what_runs_inside_and_silence_wins():
    with showing(Show.LINES):
        assert how_to_show(None) is Show.LINES
        assert how_to_show(False) is Show.NOTHING
        with showing(None):
            assert how_to_show(None) is Show.NOTHING
    assert how_to_show(True) is Show.LINES, "there is no terminal here"


def test_logs_get_plain_lines_with_the_time(capsys):
    with showing(Show.LINES):
        with stage("count object", 3, "units") as advance:
            advance(3)
        work(Board(loads(), 60.0))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 4
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \S", line) for line in lines)
    assert "\x1b" not in err
    assert "\r" not in err
    assert lines[0].split(" ", 2)[2].startswith("count object: 3 of 3 units, took ")
    assert "shard: 3 of 12,345 pieces, 243,000 rows at " in lines[1]
    assert re.search(r"9\.6 MB, in \d+\.\d s, .* left$", lines[1])
    assert lines[3].endswith("something by the way")


def test_a_line_is_written_at_every_interval(capsys, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.01)
    told = io.StringIO()
    monkeypatch.setattr(boards, "log", lambda text: told.write(text + "\n"))
    with showing(Show.LINES), Board(loads(), 60.0) as board:
        load = board.begin("shard")
        for _ in range(1000):
            if told.getvalue().count("\n") >= 2:
                break
            progress.time.sleep(0.005)
        board.end(load)
    assert told.getvalue().count("shard: 0 of 12,345 pieces") >= 3


def test_bars_fit_into_80_columns(monkeypatch):
    import rich.console

    screen = io.StringIO()
    terminal = rich.console.Console(file=screen, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(rich.console, "Console", lambda **_: terminal)
    with showing(Show.BARS):
        work(Board(loads(), 6000.0))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    assert max(map(len, lines)) <= 80
    last = [line for line in lines if line.startswith(("shard", "gather"))][-2:]
    assert "3/12,345" in last[0]
    assert "3/99,999" in last[1]
    assert all("rows/s" in line and "9.6 MB" in line and "in " in line for line in last)
    assert not any("…" in line for line in lines)


def test_time_left_is_first_what_was_expected_and_then_what_was_taken(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    board = Board([Load("shard", 100, 0, 100.0), Load("gather", 100, 0, 100.0)], 60.0, False)
    with board:
        assert board.left_s == pytest.approx(60.0)
        load = board.begin("shard")
        for _ in range(100):
            now[0] += 3.0
            board.advance(load, 1, 1.0, fresh=True)
        # 300 s for a half: the 60 s that were expected for all count little now.
        assert 200 < board.left_s < 300
        load = board.begin("gather")
        for _ in range(100):
            board.advance(load, 1, 1.0, fresh=False)
        assert board.left_s == 0


def test_amounts_are_short():
    assert [amount(n) for n in (0, 999, 1e3, 12_345_678, 9.99e11, 4e12)] == [
        *("0 B", "999 B", "1.0 kB", "12 MB", "999 GB", "4.0 TB")
    ]


def test_stages_that_others_did_before_the_last_are_not_reckoned_as_left():
    board = Board([Load("shard", 10, 0, 100.0), Load("margin", 10, 0, 100.0), Load("finish", 1, 0, 0.0)], 60.0, False)
    with board:
        board.skip_to("finish")
        load = board.begin("finish")
        board.advance(load, 0, 0.0, fresh=True)

        assert board.left_s == pytest.approx(0.0, abs=1e-9)


def test_rows_are_told_where_they_are_known_before():
    assert "rows" in str(Load("gather", 2, 10, 100.0, done=1, done_rows=5, done_bytes=50.0))
    assert str(Load("margin", 2, 0, 100.0, done=1, done_bytes=50.0)) == "margin: 1 of 2 pieces, 50 B"

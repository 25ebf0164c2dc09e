"""A journal knows whose run it is and what is done, whatever was killed when."""

import errno
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lsdb_ts.errors import Failure, OutputError, ResumeError
from lsdb_ts.store.journal import Journal, Pages, differences, fingerprint, write_once

ROOT = Path(__file__).parents[2]
IDENTITY = {"radius": 1.0, "inputs": [{"path": "a", "rows": 3}], "columns": ["ra", "dec"]}


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "out" / ".lsdb_ts")


def record_many(job):
    journal, first = job
    for k in range(first, first + 20):
        journal.record(f"piece {k}", {"rows": k})


def test_a_second_start_finds_what_the_first_has_done(journal):
    assert not journal.exists()
    journal.begin(IDENTITY)
    journal.record("Pixel(1, 2)", {"rows": 5})
    again = Journal(journal.folder)
    again.begin(dict(reversed(IDENTITY.items())))
    assert again.exists()
    assert again.done() == {"Pixel(1, 2)": {"rows": 5}}


def test_another_identity_is_told_what_changed(journal):
    journal.begin(IDENTITY)
    other = {**IDENTITY, "radius": 2.0, "inputs": [{"path": "a", "rows": 4}], "new": True}
    with pytest.raises(ResumeError) as error:
        journal.begin(other)
    for line in ("radius: 1.0 -> 2.0", "inputs[0].rows: 3 -> 4", "new: None -> True", str(journal.folder.parent)):
        assert line in str(error.value)
    assert "columns" not in str(error.value)
    journal.begin(IDENTITY)


def test_a_folder_with_something_else_in_it_is_refused(journal):
    journal.folder.parent.mkdir()
    (journal.folder.parent / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        journal.begin(IDENTITY)


def test_a_start_killed_before_its_identity_was_written_can_be_repeated(journal):
    journal.folder.mkdir(parents=True)
    (journal.folder / ".run.json.1.2.tmp").write_text("{")
    journal.begin(IDENTITY)
    assert journal.exists()


def test_a_line_cut_short_is_done_again_and_hurts_no_other(journal):
    journal.begin(IDENTITY)
    journal.record("a", {"n": 1})
    journal.record("b", {"n": 2})
    (file,) = journal.folder.glob("done-*.jsonl")
    file.write_bytes(file.read_bytes()[:-5])
    assert journal.done() == {"a": {"n": 1}}
    journal.record("c", {"n": 3})
    assert journal.done() == {"a": {"n": 1}, "c": {"n": 3}}


def test_threads_and_processes_lose_no_line(journal):
    journal.begin(IDENTITY)
    jobs = [(journal, first) for first in range(0, 80, 20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record_many, jobs))
    process = multiprocessing.get_context("spawn").Process(target=record_many, args=((journal, 80),))
    process.start()
    record_many((journal, 100))
    process.join()
    assert process.exitcode == 0
    assert journal.done() == {f"piece {k}": {"rows": k} for k in range(120)}
    assert len(list(journal.folder.glob("done-*.jsonl"))) == 2


def test_equal_values_have_equal_fingerprints_and_others_do_not():
    assert fingerprint({"a": [1, 2.5], "b": None}) == fingerprint({"b": None, "a": [1, 2.5]})
    assert len({fingerprint(v) for v in (1, "1", [1], {"a": 1}, None, 1.5)}) == 6


def test_differences_are_found_at_their_place():
    old, new = {"a": {"b": [1, 2]}, "c": 1, "d": [1]}, {"a": {"b": [1, 3]}, "d": [1, 2]}
    assert list(differences(old, new)) == [("a.b[1]", 2, 3), ("c", 1, None), ("d", [1], [1, 2])]


def test_what_others_write_is_read_on(journal):
    journal.begin(IDENTITY)
    pages = Pages(journal.folder)
    journal.record("a", {"n": 1})
    assert pages.refresh() == ["a"]
    (file,) = journal.folder.glob("done-*.jsonl")
    with file.open("ab") as half:
        half.write(b'{"key":"b","n"')
    assert pages.refresh() == []
    with file.open("ab") as half:
        half.write(b":2}\n")
    assert pages.refresh() == ["b"]
    assert pages.refresh() == []
    assert (pages.entry("a"), pages.entry("b")) == ({"n": 1}, {"n": 2})
    pages.forget("a")
    assert "a" not in pages
    journal.record("a", {"n": 3})
    pages.refresh()
    assert pages.entry("a") == {"n": 3}


def test_keys_may_hold_any_text(journal):
    journal.begin(IDENTITY)
    keys = ['a "quoted" one', "comma, }", "line\nbreak", "ümlaut"]
    for key in keys:
        journal.record(key, {"text": key})
    assert journal.done() == {key: {"text": key} for key in keys}
    journal.record("empty", {})
    assert journal.done()["empty"] == {}


def test_the_last_failure_of_what_is_not_done_is_kept(journal):
    journal.begin(IDENTITY)
    journal.record_failure("a", Failure("piece a", "OSError: once", "Traceback"))
    journal.record_failure("a", Failure("piece a", "OSError: twice", "Traceback"))
    journal.record_failure("b", Failure("piece b", "OSError: once", "Traceback"))
    journal.record("b", {})
    assert journal.failures() == {"a": Failure("piece a", "OSError: twice", "Traceback")}


def test_of_many_who_begin_at_once_all_have_the_same_identity(journal):
    others = [{**IDENTITY, "radius": float(i)} for i in range(8)]

    def begin(identity):
        try:
            journal.begin(identity)
        except ResumeError:
            return None
        return identity

    with ThreadPoolExecutor(8) as pool:
        begun = [identity for identity in pool.map(begin, others) if identity is not None]
    assert len(begun) == 1
    journal.begin(begun[0])


def test_a_file_is_written_by_one_of_many(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda i: write_once(tmp_path / "file", str(i)), range(30)))
    assert sum(wrote) == 1
    assert (tmp_path / "file").read_text() == str(wrote.index(True))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_is_full_leaves_no_half_line(journal, tmp_path):
    script = """
import resource, sys
from pathlib import Path
from lsdb_ts.store.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.record("a", {"n": 1})
(file,) = journal.folder.glob("done-*.jsonl")
resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, resource.RLIM_INFINITY))
try:
    journal.record("b", {"n": 2})
except OSError as error:
    print(error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.record("c", {"n": 3})
"""
    journal.begin(IDENTITY)
    done = subprocess.run(
        [sys.executable, "-c", script, str(journal.folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in {str(errno.EFBIG), str(errno.ENOSPC)}
    assert journal.done() == {"a": {"n": 1}, "c": {"n": 3}}

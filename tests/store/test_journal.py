"""A journal knows whose run it is and what is done, whatever was killed when."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from lsdb_ts.errors import OutputError, ResumeError
from lsdb_ts.store.journal import Journal, differences, fingerprint

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

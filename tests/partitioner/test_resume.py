"""Cut off at any boundary and started again: only what is missing is done, and every byte is the same."""

import dataclasses
import importlib
import os
import shutil

import pytest

from lsdb_ts.errors import IdError, InputError, OutputError, ResumeError, RunError
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.journal import Journal
from partitioner import begin, load, plan, run, status, task
from partitioner.moving import spill
from partitioner.running import commit, job, stages, verbs
from tests.partitioner.runs import copied, digest, small_plan


@pytest.fixture
def out(stored, tmp_path):
    return copied(stored, tmp_path / "out")


plan_module = importlib.import_module("partitioner.planning.plan")


class PowerCut(BaseException):
    """What no piece of code expects."""


def cut(*args, **kwargs):
    raise PowerCut


def fails(*args, **kwargs):
    raise OSError("out of order")


def cut_after(patch, owner, name, times):
    """Let a function be called so often, and cut the power at the next call."""
    function, left = getattr(owner, name), iter(range(times))

    def counted(*args, **kwargs):
        if next(left, None) is None:
            raise PowerCut
        return function(*args, **kwargs)

    patch.setattr(owner, name, counted)


def test_the_plan_has_many_pieces_of_all_stages(out):
    found = {s.name: s.pieces for s in status(out).stages}

    assert list(found) == ["shard", "index", "route", "gather", "margin"]
    assert all(n > 4 for name, n in found.items() if name != "index")


def cut_off_at(out, owner, name, times):
    with pytest.MonkeyPatch.context() as patch:
        cut_after(patch, owner, name, times)
        with pytest.raises(PowerCut):
            run(out)
    assert not status(out).finished


def test_a_run_cut_off_between_the_files_of_pieces_and_their_lines_ends_in_the_same_bytes(out, whole):
    for pieces in (0, 3, 2, 1, 5, 7, 0, 11):
        cut_off_at(out, Journal, "record", pieces)
        assert not (out / "collection.properties").exists()

    run(out)

    assert digest(out) == whole


BOUNDARIES = (
    *((spill, "array_file", 0), (spill, "array_file", 2)),
    *((stages, "write_index", 0), (job, "close", 0), (stages, "write_index", 1)),
    *((job, "close", 0), (job, "close", 1), (stages, "write_index", 1)),
    *((commit, "remove_leftovers", 0), (commit, "_collect_aside", 0), (commit, "_collect_aside", 1)),
    *((commit, "finish_catalog", n) for n in range(4)),
    *((commit, "finish_collection", n) for n in range(2)),
)


def test_a_run_cut_off_at_one_boundary_after_the_other_ends_in_the_same_bytes(out, whole):
    for owner, name, times in BOUNDARIES:
        cut_off_at(out, owner, name, times)

    run(out)

    assert digest(out) == whole


def test_a_run_cut_off_before_its_account_is_written_is_ended_again(out, whole):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit.Account, "write", cut)
        with pytest.raises(PowerCut):
            run(out)
    assert not status(out).finished
    assert status(out).next == f"lsdb-ts finish {out}"

    run(out)

    assert digest(out) == whole


def test_a_run_cut_off_while_it_tidies_up_is_done(out, whole, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit.shutil, "rmtree", cut)
        with pytest.raises(PowerCut):
            run(out)
    assert (out / WORK).exists()
    assert status(out).finished

    account = run(out)

    assert account.already_done
    assert digest(out) == whole


def test_the_files_of_a_run_killed_while_it_wrote_are_not_in_the_way(out, whole):
    for folder in (out / "sim" / "dataset" / "Norder=0" / "Dir=0", out / WORK / "shard" / "object"):
        folder.mkdir(parents=True)
        (folder / ".Npix=3.parquet.1.2.tmp").write_bytes(b"half a leaf")

    run(out)

    assert digest(out) == whole


def test_a_second_start_does_only_what_is_missing(out, whole, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "assemble", fails)
        with pytest.raises(RunError, match=r"pieces of margin failed.* margin sim, bucket 0: OSError: out of order"):
            run(out)

    for name in ("shard", "route", "build_index", "gather"):
        monkeypatch.setattr(stages, name, fails)
    run(out)

    assert digest(out) == whole


def test_one_bad_piece_does_not_cost_the_others_and_is_done_by_the_next_run(out, whole):
    bad = stages.pieces(load(out), "gather")[3]
    gather, calls = stages.gather, []

    def gather_but_one(work, bucket):
        if (work.product.table, bucket.number) == (bad.table, bad.number):
            calls.append(bucket)
            raise OSError("this disk block is bad")
        return gather(work, bucket)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "gather", gather_but_one)
        with pytest.raises(RunError, match=r"1 of .* pieces of gather failed, each tried 2 times") as caught:
            run(out)
    (failure,) = caught.value.failures
    assert failure.item == "gather sim, bucket 3"
    assert failure.error == "OSError: this disk block is bad"
    assert "gather_but_one" in failure.traceback
    assert len(calls) == 2
    found = status(out)
    gathers = next(s for s in found.stages if s.name == "gather")
    assert (gathers.failed, gathers.left, gathers.next) == (1, 1, 3)
    assert found.failures == (failure,)

    run(out)

    assert digest(out) == whole


def test_an_input_that_cannot_be_read_for_a_while_costs_only_its_own_pieces(make_raw, tmp_path):
    raw = make_raw(tmp_path / "raw", n=200)
    stored = small_plan(raw.survey, tmp_path / "stored")
    undisturbed = copied(stored, tmp_path / "undisturbed")
    run(undisturbed)
    out = copied(stored, tmp_path / "out")
    path = raw.folder / "source-1.parquet"
    away = path.rename(raw.folder / "away")

    with pytest.raises(RunError) as caught:
        run(out)

    assert all("source-1.parquet" in f.item and "there is no file" in f.error for f in caught.value.failures)
    shards = next(s for s in status(out).stages if s.name == "shard")
    assert shards.done == shards.pieces - len(caught.value.failures)
    away.rename(path)
    run(out)
    assert digest(out) == digest(undisturbed)


def test_an_input_that_has_changed_is_refused_and_the_change_is_told(make_raw, tmp_path):
    raw = make_raw(tmp_path / "raw", n=90)
    out = small_plan(raw.survey, tmp_path / "out")
    path = raw.folder / "object-0.parquet"
    size, stamp = path.stat().st_size, path.stat().st_mtime_ns
    os.utime(path, ns=(1, 1))

    with pytest.raises(ResumeError, match=rf"object-0\.parquet: stamp {stamp} -> 1") as caught:
        run(out)
    assert "the input has changed since" in str(caught.value)
    assert status(out).stages[0].done > 0, "the other inputs are as they were"

    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ResumeError, match=rf"object-0\.parquet: size {size} -> {size + 4}"):
        run(out)


def test_an_input_that_changes_while_it_is_read_is_refused(make_raw, tmp_path):
    raw = make_raw(tmp_path / "raw", n=90)
    out = small_plan(raw.survey, tmp_path / "out")
    shard = stages.shard

    def meddling(planned, unit):
        os.utime(unit.parts[0].file.path, ns=(1, 1))
        return shard(planned, unit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "shard", meddling)
        with pytest.raises(ResumeError, match="stamp"):
            task(out, "shard", 0)
    assert status(out).stages[0].done == 0


def test_a_scratch_file_that_is_gone_is_made_again(out, whole):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "commit", cut)
        patch.setattr("partitioner.running.verbs.commit", cut)
        with pytest.raises(PowerCut):
            run(out)
    (out / WORK / "shard" / "object" / "000000.arrow").unlink()
    leaf = next(out.glob("sim/dataset/**/Npix=*.parquet"))
    leaf.unlink()

    run(out)

    assert digest(out) == whole


def test_scratch_files_of_a_machine_that_was_started_anew_are_made_again(out, whole, monkeypatch):
    for stage in ("shard", "index"):
        task(out, stage, share=(0, 1))
    monkeypatch.setattr(spill, "_boot", lambda: "another")
    assert status(out).stages[0].done == 0

    run(out)

    assert digest(out) == whole


def test_a_half_done_run_is_not_taken_up_with_other_parameters(raw, out):
    task(out, "shard", 0)
    tables = [dataclasses.replace(t, max_rows=77) if t.name == "object" else t for t in raw.survey.tables]

    with pytest.raises(ResumeError, match=r"tables\.object\.max_rows: 15 -> 77"):
        run(dataclasses.replace(raw.survey, tables=tuple(tables)), out)


def test_a_half_done_run_is_taken_up_by_its_survey_with_the_plan_that_is_stored(raw, out, whole):
    task(out, "shard", 0)

    run(raw.survey, out, memory=4 << 30)

    assert digest(out) == whole


def test_a_start_killed_before_its_plan_was_stored_can_be_repeated(raw, tmp_path, whole):
    out = tmp_path / "out"
    for name in ("write_once", "load"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan_module, name, cut)
            with pytest.raises(PowerCut):
                run(raw.survey, out)
    (out / WORK / "plan.json").unlink()
    shutil.rmtree(out / WORK)
    (out / WORK).mkdir()

    planned = plan(raw.survey, out)

    assert planned.products[0].layout.numbers.size > 0
    small_plan(raw.survey, out)
    run(out)
    assert digest(out) == whole


def test_of_two_who_plan_at_once_both_carry_out_the_first_plan(raw, tmp_path):
    first, second = plan(raw.survey, tmp_path / "out"), plan(raw.survey, tmp_path / "out")
    stored = begin(dataclasses.replace(first, made="first"))

    assert begin(dataclasses.replace(second, made="second")).made == stored.made == "first"


def test_who_comes_too_late_for_the_end_of_a_run_gets_its_account_and_leaves_nothing(out, whole):
    planned, finished = load(out), verbs._finished
    run(out)

    for moment in ("begin", "at_work"):
        looks = iter([None])
        with pytest.MonkeyPatch.context() as patch:
            # The others finish just after we have looked whether they have, and perhaps after we took up the plan.
            patch.setattr(verbs, "_finished", lambda out, looks=looks: next(looks, finished(out)))
            if moment == "at_work":
                patch.setattr(verbs, "begin", lambda planned: planned)
            account = verbs.carry_out(planned)
        assert account.already_done
        assert digest(out) == whole
        assert not (out / WORK).exists()


def test_a_plan_of_another_version_is_not_carried_out(out):
    path = out / WORK / "plan.json"
    path.write_text(path.read_text().replace('{"format": 3', '{"format": 2'))

    with pytest.raises(ResumeError, match=r"plan\.json is of format 2, this version of lsdb_ts writes 3"):
        run(out)


def test_a_plan_is_stored_and_read_back_whole(raw, out):
    planned = load(out)
    again = dataclasses.replace(plan(raw.survey, out), out=planned.out)

    assert repr(again.survey) == repr(planned.survey) == repr(raw.survey)
    assert planned.products[0].layout.numbers.dtype == "int64"
    assert planned.schema("object").equals(again.schema("object"), check_metadata=True)
    assert [str(u) for u in planned.units("source")] == [str(u) for u in again.units("source")]
    assert planned.estimate == again.estimate


def test_rows_in_margins_are_told_once_they_are_known(out):
    planned = load(out)
    for stage in stages.stages(planned):
        assert status(out).stages[-1].rows == 0
        for piece in range(len(stages.pieces(planned, stage))):
            task(out, stage, piece, show=False)

    told = status(out).stages[-1].rows

    assert told == sum(catalog.margin_rows for catalog in verbs.finish(out, show=False).catalogs) > 0


def test_where_there_is_no_plan_it_is_said_how_to_make_one(tmp_path):
    with pytest.raises(OutputError, match="holds no plan of a repartition: make one with `lsdb-ts plan"):
        run(tmp_path)
    with pytest.raises(OutputError, match="holds no plan"):
        status(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "told", "times"), [(InputError("cannot read it"), RunError, 2), (IdError("it comes twice"), IdError, 1)]
)
def test_what_could_not_be_read_is_tried_again_and_wrong_data_are_not(out, error, told, times):
    calls = []

    def wrong(planned, unit):
        calls.append(unit)
        return error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "shard", wrong)
        with pytest.raises(told, match=str(error)):
            task(out, "shard", 0)
    assert len(calls) == times


def test_a_stored_plan_may_be_moved_with_what_is_done(out, whole, tmp_path):
    task(out, "shard", share=(0, 2))
    shutil.move(out, tmp_path / "elsewhere")

    run(tmp_path / "elsewhere")

    assert digest(tmp_path / "elsewhere") == whole

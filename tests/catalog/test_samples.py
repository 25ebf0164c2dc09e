"""Samples and splits as users ask for them: reproducible, independent of layout and workers, and without a leak."""

import numpy as np
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, objects_table, on_disk

TABLE = objects_table(3000)
COLUMNS = ["objectId", "mag"]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return [in_memory(TABLE, "one"), in_memory(TABLE, "fine", 40), on_disk(folder, TABLE, "disk", 300)]


def ids(catalog):
    return sorted(catalog[COLUMNS].compute().objectId)


def test_a_sample_with_a_seed_is_the_same_rows_in_every_layout(layouts):
    samples = [ids(c.sample(frac=0.2, seed=1)) for c in layouts]
    assert samples[0] == samples[1] == samples[2] == ids(layouts[0].sample(frac=0.2, seed=1))
    assert abs(len(samples[0]) - 600) < 4 * np.sqrt(3000 * 0.2 * 0.8)
    assert samples[0] != ids(layouts[0].sample(frac=0.2, seed=2))


def test_n_rows_are_exactly_n_the_same_ones_everywhere(layouts):
    for n in (0, 1, 17, 2999, 3000):
        frames = [c.sample(n, seed=5) for c in layouts]
        assert [len(f) for f in frames] == [n] * 3
        assert sorted(frames[0].objectId) == sorted(frames[1].objectId) == sorted(frames[2].objectId)
        assert frames[2].index.is_monotonic_increasing
    assert len(layouts[0].sample()) == 1
    bright = layouts[1].query("mag < 18")
    assert bright.sample(50, seed=2).equals(bright.sample(50, seed=2))
    assert (bright.sample(50, seed=2).mag < 18).all()


def test_the_n_rows_are_the_first_of_a_growing_sample(layouts):
    few, more = layouts[1].sample(30, seed=9), layouts[2].sample(60, seed=9)
    assert set(few.objectId) < set(more.objectId)


def test_a_sample_of_a_sample_is_another_draw(layouts):
    once = layouts[1].sample(frac=0.5, seed=0)
    twice = once.sample(frac=0.5, seed=0)
    assert set(ids(twice)) < set(ids(once))
    assert 0.4 < len(ids(twice)) / len(ids(once)) < 0.6


def test_rows_filtered_above_a_sample_do_not_change_it(layouts):
    for catalog in layouts:
        sample = catalog.sample(frac=0.3, seed=4)
        every = sample.compute()
        assert ids(sample.query("mag < 18")) == sorted(every.objectId[every.mag < 18])


def test_samples_are_lazy_and_read_what_is_demanded(layouts):
    disk = layouts[2]
    with assert_lazy():
        sample = disk.sample(frac=0.5)
        train, _ = disk.random_split([0.7, 0.3])
    for catalog in (sample, train):
        with assert_reads({"mag"}):
            catalog[["mag"]].compute()
    with assert_reads(set(TABLE.column_names)) as reads:
        disk.sample(2, seed=3)
    passes = [read for read in reads if "mag" in read.columns]
    assert len(passes) <= 2, "only partitions that hold a row taken are read in full"


@pytest.mark.parametrize("by", ["pixel", "row"])
def test_a_split_deals_out_every_row_once(layouts, by):
    parts = [[ids(part) for part in c.random_split([0.5, 0.3, 0.2], seed=1, by=by, order=6)] for c in layouts]
    assert parts[0] == parts[1] == parts[2]
    assert sorted(i for part in parts[0] for i in part) == list(range(3000))
    assert all(part for part in parts[0])


def test_a_split_by_pixel_keeps_a_cell_on_one_side(layouts):
    for catalog in layouts:
        train, test = (p.compute().index.to_numpy() for p in catalog.random_split([0.5, 0.5], seed=3, order=7))
        assert not set(cell_of(train, 7)) & set(cell_of(test, 7))


def test_no_row_of_the_other_part_is_met_in_a_halo(layouts):
    """Matching a part with a part of the same split, however wide, never finds the rows of a third one."""
    for catalog in layouts:
        train, test = catalog.random_split([0.5, 0.5], seed=3, order=5)
        pairs = train[COLUMNS].crossmatch(test[COLUMNS], 2000.0, n_neighbors=3, suffixes=("_a", "_b")).compute()
        assert len(pairs)
        assert set(pairs.objectId_a) <= set(ids(train))
        assert set(pairs.objectId_b) <= set(ids(test))


def test_shares_may_leave_some_rows_out(layouts):
    (tenth,) = layouts[0].random_split([0.1], by="row")
    assert 200 < len(tenth) < 400


def test_a_sample_can_be_written_and_matched(layouts, tmp_path):
    written = layouts[1].sample(frac=0.3, seed=2).write(tmp_path / "sample")
    assert ids(written) == ids(layouts[2].sample(frac=0.3, seed=2))
    assert len(written.crossmatch(layouts[2], 0.01, suffixes=("_a", "_b"))) == len(written)


def test_rows_without_a_place_can_be_sampled(layouts):
    flat = layouts[1].map_partitions(lambda frame: frame[["objectId"]].reset_index(drop=True))
    assert flat.sample(10, seed=1).equals(flat.sample(10, seed=1))
    assert 400 < len(flat.sample(frac=0.2)) < 800
    with pytest.raises(PlanError, match="needs positions"):
        flat.random_split([0.5, 0.5])


def test_what_cannot_be_sampled_is_refused(layouts):
    catalog = layouts[0]
    with assert_lazy():
        for wrong, message in [
            (lambda: catalog.sample(3, frac=0.5), "n= or frac=, not both"),
            (lambda: catalog.sample(frac=1.5), "frac=1.5 is not a fraction"),
            (lambda: catalog.sample(-1), "n=-1"),
            (lambda: catalog.sample(3001), "a sample of 3,001 rows of 3,000"),
            (lambda: catalog.random_split([0.8, 0.3]), "at most 1"),
            (lambda: catalog.random_split([]), "positive shares"),
            (lambda: catalog.random_split([0.5], by="leaf"), '"pixel" or by "row"'),
        ]:
            with pytest.raises(PlanError, match=message):
                wrong()
    with pytest.raises(PlanError, match="a sample of 3,000 rows of"):
        catalog.query("mag < 20").sample(3000)


def test_an_empty_catalog_has_empty_samples():
    empty = lt.from_dataframe(TABLE.to_pandas().iloc[:0])
    assert len(empty.sample(0)) == 0
    assert len(empty.sample(frac=0.5)) == 0
    assert [len(part) for part in empty.random_split([0.5, 0.5])] == [0, 0]


def test_the_last_rows_are_those_of_pandas(layouts):
    for catalog in layouts:
        frame = catalog.compute()
        for n in (0, 1, 7, 1000, 5000):
            assert catalog.tail(n).equals(frame.tail(n))
            assert catalog.head(n).equals(frame.head(n))
        assert list(catalog.head(0).columns) == list(TABLE.column_names)
    bright = layouts[1].query("mag < 16")
    assert bright.tail(40).equals(bright.compute().tail(40))
    with assert_reads(set(TABLE.column_names)) as reads:
        layouts[2].tail(3)
    assert len({read.path for read in reads}) == 1
    for verb in (catalog.head, catalog.tail):
        with assert_lazy(), pytest.raises(PlanError, match="n=-1: need 0 or more rows"):
            verb(-1)

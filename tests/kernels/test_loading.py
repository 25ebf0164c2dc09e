"""Garbage is not looked for while libraries are loaded, and everything is as it was afterwards."""

import gc
import weakref

import pytest

from lsdb_ts.kernels.loading import uncollected


class Ring:
    """An object that only the collector frees."""

    def __init__(self):
        self.itself = self


def test_nothing_is_collected_meanwhile_and_everything_after():
    assert gc.isenabled()
    with uncollected():
        ring = weakref.ref(Ring())
        more = [[] for _ in range(100_000)]
        assert ring() is not None
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert len(more) == 100_000
    gc.collect()
    assert ring() is None


def test_an_error_turns_the_collector_on_again():
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled()


@pytest.mark.parametrize("first", [True, False])
def test_who_turned_it_off_finds_it_off(first):
    gc.disable()
    try:
        with uncollected(first):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_somebody_froze_stays_frozen():
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with uncollected():
            pass
        assert gc.get_freeze_count() > frozen * 0.9
    finally:
        gc.unfreeze()

"""Load libraries quickly. Which ones, those who need them know."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(first: bool = True) -> Iterator[None]:
    """Put off the collection of garbage while the context is open.

    A library that is loaded makes objects by the hundred thousand. None of them is garbage, but Python looks for some
    among all of them again and again, which takes a quarter of the time.

    Parameters
    ----------
    first : bool
        Whether to; False where everything is loaded already.
    """
    if not (first and gc.isenabled()):
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:
            # All that is there counts as old now, or else the next thing made would have it all looked through at once.
            gc.freeze()
            gc.unfreeze()
        gc.enable()

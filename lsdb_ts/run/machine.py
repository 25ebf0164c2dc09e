"""How much memory this machine gives a process: all of it, or what a container or a batch job is allowed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def machine_memory(root: Path = _ROOT) -> int:
    """Return the bytes of memory that processes here may use together.

    Parameters
    ----------
    root : pathlib.Path
        Where ``/proc`` and ``/sys`` are.

    Notes
    -----
    Containers and batch systems limit control groups; the limit of a group binds all groups in it (cgroups(7)).
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """Yield the limits of the control groups that this process is in, whichever version of them there is."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if controllers == "":
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for place in (inside, *inside.parents):
            try:
                yield int((folder / place / name).read_text())
            except (OSError, ValueError):
                # A container sees its own group as the root; "max" is no limit.
                continue

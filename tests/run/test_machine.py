"""What a container or a batch job is allowed counts, not what the machine has."""

import os

import pytest

from lsdb_ts.run.machine import machine_memory

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def laid_out(root, groups, limits):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in limits.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "allowed"),
    [
        ("0::/job/step\n", {"job/step/memory.max": "max\n", "job/memory.max": "4096\n", "memory.max": "8192\n"}, 4096),
        ("0::/job/step\n", {"job/step/memory.max": "1000\n", "job/memory.max": "4096\n"}, 1000),
        ("0::/of/the/host\n", {"memory.max": "8192\n"}, 8192),
        ("3:cpu,cpuacct:/a\n5:memory:/a\n", {"memory/a/memory.limit_in_bytes": "5000\n"}, 5000),
        ("0::/\n", {"memory.max": "max\n"}, PHYSICAL),
        ("0::/\n", {"memory.max": f"{PHYSICAL * 8}\n"}, PHYSICAL),
        ("2:cpu:/a\n", {}, PHYSICAL),
    ],
)
def test_the_narrowest_limit_of_the_groups_a_process_is_in_counts(tmp_path, groups, limits, allowed):
    assert machine_memory(laid_out(tmp_path, groups, limits)) == allowed


def test_without_control_groups_the_machine_is_all_there_is(tmp_path):
    assert machine_memory(tmp_path) == PHYSICAL
    assert 0 < machine_memory() <= PHYSICAL

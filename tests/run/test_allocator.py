"""Workers of a nanny keep some freed memory; other processes are left as they are."""

import os
import platform
import subprocess
import sys

import pytest

CALL = "from lsdb_ts.run.allocator import reuse_freed_memory; print(reuse_freed_memory())"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
@pytest.mark.parametrize(("threshold", "told"), [("65536", "True"), (None, "False")])
def test_only_a_process_that_was_told_to_keep_no_memory_is_told_to_keep_some(threshold, told):
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_TRIM_THRESHOLD_"}
    environment |= {"MALLOC_TRIM_THRESHOLD_": threshold} if threshold else {}
    done = subprocess.run([sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told

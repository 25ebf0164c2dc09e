"""Sizes as people write them; the rest of a section is tested by the survey files that are wrong."""

import pytest

from lsdb_ts.errors import PlanError
from partitioner.surveys.section import in_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        (7, 7),
        ("2k", 2000),
        ("2 KiB", 2048),
        ("256MB", 256_000_000),
        ("1.5 gib", 3 << 29),
        ("3TB", 3 * 10**12),
    ],
)
def test_a_size_is_a_number_with_or_without_a_unit(text, size):
    assert in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1 XB", "1e3", "nan", True, 1.5, None])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(PlanError, match="is no size"):
        in_bytes(text)

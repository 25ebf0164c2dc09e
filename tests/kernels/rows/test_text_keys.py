"""Numbers for texts: the same for the same text, wherever it lies, and another for every other."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.kernels.rows.text_keys import text_keys


def keys_of(texts):
    array = pa.array(texts, pa.large_string())
    _, offsets, data = array.buffers()
    raw = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return text_keys(np.frombuffer(offsets, np.int64)[: len(texts) + 1], raw)


@given(st.lists(st.text(max_size=30), max_size=50))
def test_texts_are_equal_where_their_numbers_are(texts):
    keys = keys_of(texts)

    assert keys.dtype == np.int64
    known = {}
    for text, key in zip(texts, keys.tolist(), strict=True):
        assert known.setdefault(text, key) == key
    assert len(set(known.values())) == len(known)


def test_names_that_differ_in_one_letter_have_numbers_of_their_own():
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"ZTF18{a}{b}{c}{d}aaa" for a in letters for b in letters for c in letters for d in letters[:12]]

    keys = keys_of(names)

    assert np.unique(keys).size == len(names)
    # Numbers that are as good as drawn fill any stretch alike.
    filled = np.histogram(keys.astype(float), 64, (-(2.0**63), 2.0**63))[0]
    assert abs(filled - len(names) / 64).max() < 6 * np.sqrt(len(names) / 64)


def test_short_texts_never_share_a_number():
    names = ["", "\0", "\0\0", "a", "a\0", "1234567", "123456"]

    assert np.unique(keys_of(names)).size == len(names)

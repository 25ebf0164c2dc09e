"""Checksums of whole files, kept inside them: every byte of a catalog is told by one. Pages have their own in Parquet.

A Parquet footer has no checksum of its own, nor have the headers of pages. So a few bytes before the footer, where no
reader looks, hold one of all that stands before them and one of the footer; texts hold theirs as one more value.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

from lsdb_ts.errors import CatalogError

TEXT_KEY = "lsdb_ts_crc32"
"""Name of the value that holds a text's checksum: CRC-32 of the text with zeros in its place."""
TEXT_BLANK = "0" * 8
"""What a writer gives for it, before :func:`sealed_text`."""
SEAL_BYTES = 16

_SEAL = struct.Struct("<8sII")
"""Sign, CRC-32 of all before the seal, and of all behind it."""
_SIGN = b"lsdbts\x00s"
_END = struct.Struct("<I4s")
_MAGIC = b"PAR1"
_TEXT = re.compile(rb"%s(\W{1,4})([0-9a-f]{8})\b" % TEXT_KEY.encode())
_AT_ONCE = 1 << 20


def seal(path: Path) -> None:
    """Put checksums into a complete Parquet file; what is no Parquet file, or is sealed, stays as it is.

    Offsets count from the start of a file and the footer is found from its end, so the bytes between harm nobody.
    """
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size < 12 or file.read(4) != _MAGIC:
            return
        footer = _footer(file, size)
        if footer is None or _read_seal(file, size - len(footer)) is not None:
            return
        body = _crc32(file, size - len(footer))
        file.seek(size - len(footer))
        file.write(_SEAL.pack(_SIGN, body, zlib.crc32(footer)) + footer)


def check_footer(end: bytes, path: object) -> None:
    """Hold the footer of a Parquet file against its seal, where it has one.

    Parameters
    ----------
    end : bytes
        The end of the file: the footer and :data:`SEAL_BYTES` before it, at least.
    path : path
        Names the file in the error.

    Raises
    ------
    CatalogError
        The footer is not what was written.
    """
    size = footer_size(end)
    start = len(end) - size - SEAL_BYTES
    if start < 0:
        return
    sign, _, stated = _SEAL.unpack_from(end, start)
    if sign == _SIGN and zlib.crc32(end[start + SEAL_BYTES :]) != stated:
        raise CatalogError(f"cannot read {path}: the footer is damaged, its checksum differs; restore it from a copy")


def footer_size(end: bytes) -> int:
    """Return the bytes of a Parquet footer with its length and sign, as the end of the file tells them."""
    return int.from_bytes(end[-8:-4], "little") + _END.size


def broken_seal(path: Path) -> str | None:
    """Read a whole Parquet file and say what is wrong with its seal; None where all bytes are what was written.

    Memory is bounded: a few MiB, and the footer.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        footer = _footer(file, size)
        stated = None if footer is None else _read_seal(file, size - len(footer))
        if footer is None or stated is None:
            return "has no checksums of its bytes, as every file that lsdb_ts writes has"
        parts = [] if zlib.crc32(footer) == stated[1] else ["the footer"]
        if _crc32(file, size - len(footer) - SEAL_BYTES) != stated[0]:
            parts.insert(0, "the data")
        return f"is not what was written: the checksum of {' and of '.join(parts)} differs" if parts else None


def sealed_text(text: bytes) -> bytes:
    """Return a text that has :data:`TEXT_KEY` and :data:`TEXT_BLANK` in it, once, with its checksum in the blank.

    >>> sealed_text(b'{"n": 1, "lsdb_ts_crc32": "00000000"}')
    b'{"n": 1, "lsdb_ts_crc32": "da803d83"}'
    """
    if len(_TEXT.findall(text)) != 1:
        raise ValueError(f"a text has one place for its checksum, named {TEXT_KEY}")
    return _TEXT.sub(lambda found: _stamped(found, zlib.crc32(text)), text, count=1)


def text_is_sound(text: bytes) -> bool | None:
    """Tell whether a text is what was written; None where it holds no checksum.

    >>> text_is_sound(b'{"n": 2, "lsdb_ts_crc32": "da803d83"}'), text_is_sound(b'{"n": 2}')
    (False, None)
    """
    found = _TEXT.search(text)
    if found is None:
        return None
    blank = _TEXT.sub(lambda match: _stamped(match, 0), text, count=1)
    return zlib.crc32(blank) == int(found[2], 16)


def check_text(text: bytes, path: object) -> None:
    """Raise CatalogError where a text holds a checksum, and is not what was written."""
    if text_is_sound(text) is False:
        raise CatalogError(
            f"{path} is not what was written, its checksum differs: restore it from a copy; "
            f"if it was changed on purpose, remove the {TEXT_KEY} in it"
        )


def _stamped(found: re.Match[bytes], checksum: int) -> bytes:
    return TEXT_KEY.encode() + found[1] + b"%08x" % checksum


def _footer(file: BufferedIOBase, size: int) -> bytes | None:
    """Return the footer with its length and sign; None where the file does not end as Parquet files do."""
    if size < 12:
        return None
    file.seek(size - _END.size)
    length, magic = _END.unpack(file.read(_END.size))
    if magic != _MAGIC or length + 12 > size:
        return None
    file.seek(size - length - _END.size)
    return file.read(length + _END.size)


def _read_seal(file: BufferedIOBase, end: int) -> tuple[int, int] | None:
    """Return the two checksums of the seal that ends somewhere, or None where there is none."""
    if end < SEAL_BYTES:
        return None
    file.seek(end - SEAL_BYTES)
    sign, body, footer = _SEAL.unpack(file.read(SEAL_BYTES))
    return (body, footer) if sign == _SIGN else None


def _crc32(file: BufferedIOBase, stop: int) -> int:
    """Return the CRC-32 of the first bytes of a file."""
    file.seek(0)
    checksum, left = 0, stop
    # The same memory each time, which stays near the processor.
    part = memoryview(bytearray(min(_AT_ONCE, stop)))
    while left > 0 and (n := file.readinto(part[:left])):
        checksum, left = zlib.crc32(part[:n], checksum), left - n
    return checksum

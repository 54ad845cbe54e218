"""Whatever can still be read of what rosbag2 has compressed: whole files, or single messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from superglue_ros.bag.raw import RawMessage

SUFFIX = ".zstd"

_MAGIC = b"\x28\xb5\x2f\xfd"  # no message begins so: CDR does with 0
_BLOCK = 1 << 20


@contextmanager
def decompressed(path: Path, on_problem: Callable[[str], None]) -> Iterator[Path]:
    """A file decompressed for as long as the `with` block takes, as far as that can be done.

    Args:
        path: The file, of a name like bag.mcap.zstd.
        on_problem: Called with a line where it is damaged.
    """
    with TemporaryDirectory() as folder:
        inner = Path(folder) / path.stem
        with path.open("rb") as given, inner.open("wb") as output:
            decompressor = zstd.ZstdDecompressor()
            try:
                while not decompressor.eof and (block := given.read(_BLOCK)):
                    output.write(decompressor.decompress(block))
            except zstd.ZstdError as error:
                on_problem(str(error))
            else:
                if not decompressor.eof:
                    on_problem("its end is missing")
        yield inner


def decompressed_part(data: bytes) -> bytes:
    """The beginning of compressed data whose end may be missing."""
    return bytes(zstd.ZstdDecompressor().decompress(data))


def decompressed_message(raw: RawMessage) -> RawMessage:
    """The message, decompressed where it is compressed; as it is where that cannot be done."""
    if not raw.data.startswith(_MAGIC):
        return raw
    try:
        return raw._replace(data=zstd.decompress(raw.data))
    except zstd.ZstdError:
        return raw

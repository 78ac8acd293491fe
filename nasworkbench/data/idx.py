"""The IDX files of MNIST and its relatives: a magic number, the sizes, then the bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError

UNSIGNED_BYTES = 8  # the only type that these data sets use


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 array of an IDX file, plain or ``.gz``.

    Args:
        path: the file.
        dimensions: how many the array must have: 3 for images (n, height, width), 1 for labels.

    Raises:
        DataError: the file is missing, empty, corrupt, longer than its header says, or another
            kind of file.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(_torn(path, str(error))) from None
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(_torn(path, f"{len(content)} bytes are no header"))
    zero, kind, found, *sizes = struct.unpack(f">HBB{dimensions}I", content[:header])
    if (zero, kind, found) != (0, UNSIGNED_BYTES, dimensions):
        raise DataError(
            f"{path} is no IDX file of bytes in {dimensions} dimensions: "
            f"it begins with {content[:4].hex(' ')}"
        )
    if len(content) - header != math.prod(sizes):
        raise DataError(
            _torn(path, f"it announces {math.prod(sizes)} bytes and holds {len(content) - header}")
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[header:].reshape(sizes)


def _torn(path: Path, why: str) -> str:
    return f"{path} is empty or corrupt ({why}); delete it and fetch it again"

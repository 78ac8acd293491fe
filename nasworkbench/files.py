"""Writing a file so that it is complete or not there at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from .errors import WorkbenchError


def write_atomically(
    path: str | Path, data: bytes, what: str, error: type[WorkbenchError] = WorkbenchError
) -> Path:
    """Write a file and return its path; what was there before stays until the new one is complete.

    Args:
        path: of the file; its folder exists.
        data: its bytes.
        what: how messages call it, e.g. ``the report``.
        error: what is raised.

    Raises:
        WorkbenchError: it cannot be written (no such folder, a full disk, no permission).
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as problem:
        raise error(f"cannot write {what} to {path}: {problem}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path

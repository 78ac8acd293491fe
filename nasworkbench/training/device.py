"""The device to compute on, its random state, and its precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ..errors import SettingsError


def find_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it.

    Raises:
        SettingsError: no device of that name, or a GPU that is not there.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise SettingsError(f"unknown device {device!r}; use 'cpu', 'cuda' or 'cuda:0'") from None
    if found.type == "cpu":
        return found
    if found.type != "cuda":
        raise SettingsError(f"device {device!r} is not supported; use 'cpu', 'cuda' or 'cuda:0'")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (found.index or 0) >= count:
        raise SettingsError(
            f"device {str(device)!r} is not there: PyTorch sees {count} GPUs on this machine. "
            "Use device='cpu', or install a PyTorch build for your GPU (see the README)"
        )
    return torch.device("cuda", torch.cuda.current_device() if found.index is None else found.index)


@contextlib.contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Random numbers from this seed inside; outside, the global state is as it was."""
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        if gpus:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def autocast(device: torch.device, wanted: bool) -> torch.autocast:
    """bfloat16 where the device computes it faster; elsewhere a context that does nothing."""
    enabled = wanted and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)

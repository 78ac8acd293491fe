"""The device to compute on, its random state, and its precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ..errors import SettingsError


def find_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it.

    Raises:
        SettingsError: no device of that name, or a GPU that this machine does not have.
    """
    known, gpus = None, torch.cuda.device_count()
    with contextlib.suppress(RuntimeError, TypeError):
        known = torch.device(device)
    if known is not None and known.type == "cpu":
        return known
    if known is None or known.type != "cuda" or (known.index or 0) >= gpus:
        raise SettingsError(
            f"device must be 'cpu' or one of the {gpus} GPUs that PyTorch sees on this machine "
            f"('cuda', 'cuda:0', ...), got {device!r}. Use device='cpu', or install a PyTorch "
            "build for your GPU (see the README)"
        )
    return torch.device("cuda", torch.cuda.current_device() if known.index is None else known.index)


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

"""Where a result comes from: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("nasworkbench", "torch", "torchvision", "numpy", "scikit-learn")


def provenance() -> dict[str, str]:
    """Versions of what decides a result, and the machine, as short texts; this process's own number
    of torch threads and default dtype too, which need not be those of a worker."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # running from a checkout that is not installed
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "gpu": ", ".join(gpus) or "none",
        "torch threads": str(torch.get_num_threads()),
        "default dtype": str(torch.get_default_dtype()),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"

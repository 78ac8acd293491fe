"""What all executors share: the record of a finished task, and how a failure is named."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch


@dataclass(frozen=True)
class Finished:
    """How one task ended.

    ``status`` is ``ok``, ``error`` (it raised), ``out_of_memory``, ``timeout`` (it was killed at
    the limit) or ``crashed`` (its process died).
    """

    number: int
    status: str
    value: Any = None  #: what the function returned, if ok
    cause: str | None = None  #: one line, if not ok
    seconds: float = 0.0
    worker: int = 0


class Executor(ABC):
    """Runs tasks; leave it by ``with`` so that no process is left behind."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many tasks can be submitted now."""

    @abstractmethod
    def submit(self, number: int, *arguments: Any) -> None:
        """Start ``function(*arguments)``; the record of its end bears this number."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> list[Finished]:
        """Tasks that have ended since the last call; waits for one up to ``timeout`` seconds."""

    @abstractmethod
    def stop(self) -> None:
        """End at once, without waiting for running tasks."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def attempt(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, str, str | None]:
    """``(value, status, cause)`` of a call. One that raises is a result, not the end of all."""
    try:
        return function(*arguments), "ok", None
    except Exception as error:
        return None, *failure(error)


def failure(error: BaseException) -> tuple[str, str]:
    """``(status, cause)`` of an exception; the cause says where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        f" ({frames[-1].filename.rsplit('/', 1)[-1]}, line {frames[-1].lineno})" if frames else ""
    )
    text = " ".join(str(error).split())
    cause = f"{type(error).__name__}: {text[:300]}{where}"
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in text
    )
    return ("out_of_memory" if memory else "error"), cause

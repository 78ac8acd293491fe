"""Evaluators that return, raise and leave behind what they should not; workers import them.

Each takes an architecture and a seed, and names the statuses that its trial may end with.
"""

from __future__ import annotations

import gc
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy
import torch

from nasworkbench import RandomSearch
from nasworkbench.spaces import Decision, Space
from nasworkbench.training import Evaluation

OK, ERROR = {"ok"}, {"error"}
MEGABYTE = "x" * 10**6


class Raising(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __float__ = __repr__


class Shapeless:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class NoTraceback(Exception):
    @property
    def __traceback__(self):
        raise RuntimeError("no traceback")


class Nameless(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")


class OfNamelessClass(Exception, metaclass=Nameless):
    pass


class Below(BaseException):
    pass


class Always(str):
    """A text that is equal to every other."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Word(StrEnum):
    OK = "ok"


class Closing(Evaluation):
    @property
    def curves(self):
        raise ValueError("closed")

    @curves.setter
    def curves(self, value):
        pass


class Number(float):
    def __repr__(self) -> str:
        return MEGABYTE

    def __float__(self) -> float:
        return 0.25


def circle() -> list:
    epoch: dict = {}
    epoch["epoch"] = epoch
    return [epoch]


def deep() -> list:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    return [{"epoch": value}]


def throw(error: BaseException) -> Callable[..., Any]:
    def evaluate() -> Any:
        raise error

    return evaluate


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1)


def numbers() -> Any:
    yield 0.5


def after(action: Callable[[], Any]) -> Callable[[], float]:
    """Do something that changes this process, then return a reward."""

    def evaluate() -> float:
        action()
        return 0.5

    return evaluate


def close_stdout() -> None:
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.close()


def use_random_numbers() -> None:
    random.random()
    numpy.random.rand(1000)
    torch.rand(1000)


def seed_everything() -> None:
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)


def leave_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()


def ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


RETURNED: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "array without dimensions": (lambda: numpy.array(0.5), OK),
    "array of one number": (lambda: numpy.array([0.5]), ERROR),
    "tensor": (lambda: torch.tensor(0.5), OK),
    "tensor on meta": (lambda: torch.tensor(0.5, device="meta"), ERROR),
    "true": (lambda: True, ERROR),
    "complex": (lambda: 0.5 + 0j, ERROR),
    "text": (lambda: "0.5", ERROR),
    "nothing": (lambda: None, {"diverged"}),
    "generator": (numbers, ERROR),
    "dict": (lambda: {"reward": 0.5}, ERROR),
    "fraction": (lambda: Fraction(1, 2), OK),
    "float of another class": (lambda: Number(0.5), OK),
    "huge whole number": (lambda: 10**400, ERROR),
    "beyond float32": (lambda: 1e39, ERROR),
    "far below": (lambda: -1e300, ERROR),
    "infinite": (lambda: -math.inf, {"diverged"}),
    "no number and no text": (Unprintable, ERROR),
    "no attributes": (Shapeless, ERROR),
    "class": (lambda: Evaluation, ERROR),
    "property that raises": (lambda: Closing(0.5), ERROR),
    "reward of a failure": (lambda: Evaluation(math.nan, "diverged", "nan"), {"diverged"}),
    "status is nothing": (lambda: Evaluation(0.5, None), ERROR),
    "status of an enum": (lambda: Evaluation(0.5, Word.OK), OK),
    "status equal to all": (lambda: Evaluation(0.5, Always("\ud800")), {"ok", "error"}),
    "status of an executor": (lambda: Evaluation(None, "crashed"), ERROR),
    "parameters beyond the store": (lambda: Evaluation(0.5, parameters=2**70), ERROR),
    "parameters below 0": (lambda: Evaluation(0.5, parameters=-1), ERROR),
    "parameters in words": (lambda: Evaluation(0.5, parameters="many"), ERROR),
    "curves are a number": (lambda: Evaluation(0.5, curves=3), ERROR),
    "curves of numbers": (lambda: Evaluation(0.5, curves=[1, 2]), ERROR),
    "curves of sets": (lambda: Evaluation(0.5, curves=[{"loss": {1}}]), ERROR),
    "curves in a circle": (lambda: Evaluation(0.5, curves=circle()), ERROR),
    "curves too deep": (lambda: Evaluation(0.5, curves=deep()), ERROR),
    "curves too long": (lambda: Evaluation(0.5, curves=[{"a": 11 * MEGABYTE}]), ERROR),
    "curves with half a letter": (lambda: Evaluation(0.5, curves=[{"\ud800": "\udfff"}]), OK),
    "curves that are not finite": (lambda: Evaluation(0.5, curves=[{"loss": math.nan}]), OK),
    "cause with half a letter": (lambda: Evaluation(None, "error", "a \ud800 b"), ERROR),
    "cause with escapes": (lambda: Evaluation(None, "error", "\x1b[2J\x00\r\n\u202e"), ERROR),
    "long cause": (lambda: Evaluation(None, "timeout", MEGABYTE), {"timeout"}),
    "cause without a text": (lambda: Evaluation(None, "error", Unprintable()), ERROR),
    "seconds without end": (lambda: Evaluation(0.5, seconds=math.inf), ERROR),
}
RAISED: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "no text": (throw(Raising()), ERROR),
    "half a letter": (throw(ValueError("a \ud800 b")), ERROR),
    "escapes": (throw(ValueError("\x1b[31mred\x00")), ERROR),
    "megabyte": (throw(ValueError(MEGABYTE)), ERROR),
    "no traceback": (throw(NoTraceback("x")), ERROR),
    "class without a name": (throw(OfNamelessClass("x")), ERROR),
    "long name": (throw(type("E" * 10**5, (Exception,), {})("x")), ERROR),
    "exit": (throw(SystemExit(3)), ERROR),
    "exit with a text": (lambda: sys.exit("\ud800"), ERROR),
    "no Exception": (throw(Below("x")), ERROR),
    "end of a generator": (throw(GeneratorExit()), ERROR),
    "end of an iteration": (throw(StopIteration(3)), ERROR),
    "recursion": (recurse, ERROR),
    "memory": (throw(MemoryError("x")), {"out_of_memory"}),
}


def fork() -> None:
    os.fork()


def fork_and_raise() -> None:
    if os.fork() == 0:
        raise ValueError("in the child")


def fork_and_exit() -> None:
    if os.fork() == 0:
        sys.exit()


LEFT: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "thread": (after(leave_a_thread), OK),
    "closed output": (after(close_stdout), OK),
    "other folder": (after(lambda: os.chdir("/")), OK),
    "other signal handlers": (after(ignore_signals), OK),
    "gradients off": (after(lambda: torch.set_grad_enabled(False)), OK),
    "inference mode": (after(lambda: torch.inference_mode().__enter__()), OK),
    "double precision": (after(lambda: torch.set_default_dtype(torch.float64)), OK),
    "half precision": (after(lambda: torch.set_default_dtype(torch.float16)), OK),
    "three threads": (after(lambda: torch.set_num_threads(3)), OK),
    "other device": (after(lambda: torch.set_default_device("meta")), OK),
    "deterministic": (after(lambda: torch.use_deterministic_algorithms(True)), OK),
    "autocast": (after(lambda: torch.set_autocast_enabled("cpu", True)), OK),
    "numpy that raises": (after(lambda: numpy.seterr(all="raise")), OK),
    "fork": (after(fork), OK),
    "fork that raises": (after(fork_and_raise), OK),
    "fork that exits": (after(fork_and_exit), OK),
    "seeds": (after(seed_everything), OK),
    "random numbers": (after(use_random_numbers), OK),
    "no garbage collection": (after(gc.disable), OK),
}
ALL = {"benign": (lambda: 0.75, OK), **RETURNED, **RAISED, **LEFT}
NAMES = tuple(ALL)


@dataclass(frozen=True)
class Kind:
    key: str


class Kinds(Space):
    """Which of the evaluators, and a coin: each is proposed in two ways."""

    decisions = ()

    def __init__(self, names=NAMES):
        self.names = tuple(names)
        self.decisions = (
            Decision("evaluator", "network", 0, "evaluator", self.names),
            Decision("coin", "network", 1, "coin", ("heads", "tails")),
        )

    def decode(self, tokens):
        self.check(tokens)
        return Kind(self.names[tokens[0]])

    def encode(self, genotype):
        return self.names.index(genotype.key), 0

    def settings(self):
        return {"names": list(self.names)}


class InTurn(RandomSearch):
    """Proposes each evaluator once, and then again."""

    def _draw(self, numbers):
        return [self.proposal(n, (n % len(self.space.names), 0)) for n in numbers]


def hostile(kind: Kind, seed: int) -> Any:
    return ALL[kind.key][0]()

"""Run a function elsewhere, with limits. What the function does is its own business.

``submit(*arguments)`` gives a ``concurrent.futures.Future`` as long as a worker is free;
``wait(timeout)`` gives the futures that have ended, in whatever order they end, each with a
:class:`Finished` as its result. :func:`run_all` does so for a list of tasks; :class:`Records` keeps
their results.
"""

from .base import Executor, Finished
from .inline import InlineExecutor
from .processes import ProcessExecutor
from .records import Records
from .run import run_all

__all__ = ["Executor", "Finished", "InlineExecutor", "ProcessExecutor", "Records", "run_all"]

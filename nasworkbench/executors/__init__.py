"""Run a function elsewhere, with limits; what the function does is none of an executor's business.

An executor is told ``submit(number, *arguments)`` while it has ``free`` places, and hands back
:class:`Finished` records from ``wait(timeout)``, in whatever order they come. :func:`run_all` does
so for a list of tasks; :class:`Records` keeps their results.
"""

from .base import Executor, Finished
from .inline import InlineExecutor
from .processes import ProcessExecutor
from .records import Records
from .run import run_all

__all__ = ["Executor", "Finished", "InlineExecutor", "ProcessExecutor", "Records", "run_all"]

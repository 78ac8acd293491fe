"""Run a function elsewhere, with limits; what the function does is none of an executor's business.

An executor is told ``submit(number, *arguments)`` while it has ``free`` places, and hands back
:class:`Finished` records from ``wait(timeout)``, in whatever order they come.
"""

from .base import Executor, Finished
from .inline import InlineExecutor
from .processes import ProcessExecutor

__all__ = ["Executor", "Finished", "InlineExecutor", "ProcessExecutor"]

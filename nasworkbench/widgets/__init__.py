"""Widgets for notebooks: edit a cell, watch a controller decide, drive a search, replay one.

Each is a plain state, testable without a browser, with a picture of it in front. Where widgets
cannot render, ``widget.static()`` gives the same as a drawing, a figure or a table.
"""

from .dashboard import SearchDashboard
from .editor import CellEditor
from .replay import SearchReplay
from .stepper import ControllerStepper

__all__ = ["CellEditor", "ControllerStepper", "SearchDashboard", "SearchReplay"]

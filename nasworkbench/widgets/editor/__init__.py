from .widget import CellEditor

__all__ = ["CellEditor"]

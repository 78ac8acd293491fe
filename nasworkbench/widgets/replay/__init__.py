from .widget import SearchReplay

__all__ = ["SearchReplay"]

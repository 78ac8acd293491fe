from .widget import SearchDashboard

__all__ = ["SearchDashboard"]

from .widget import ControllerStepper

__all__ = ["ControllerStepper"]

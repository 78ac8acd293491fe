"""What a front end may ask the cell editor for, and whether a message is one of these."""

from __future__ import annotations

from typing import Any

from ...errors import SettingsError, WorkbenchError, listed

#: What a message may ask for -> the arguments that come with it, and their type.
ACTIONS: dict[str, dict[str, type]] = {
    "operation": {"role": str, "block": int, "side": str, "operation": str},
    "connect": {"role": str, "block": int, "side": str, "state": int},
    "combination": {"role": str, "block": int, "combine": str},
    "add_block": {"role": str},
    "remove_block": {"role": str, "block": int},
    "toggle_output": {"role": str, "state": int},
    "output": {"role": str, "states": list},
    "automatic_output": {"role": str, "on": bool},
    "undo": {},
    "redo": {},
    "random": {},
    "mutate": {},
    "zoo": {"name": str},
    "paste": {"text": str, "form": str},
    "sizes": {"cells": int, "filters": int, "image_size": int},
    "train": {},
    "stop": {},
}

#: Those that leave the genotype as it is, and so are open while it is trained.
HARMLESS = ("sizes", "train", "stop")

#: Largest network that is counted while one waits (this project's choice).
LARGEST = {"cells": 20, "filters": 512, "image_size": 512}


def checked_message(message: Any) -> tuple[str, dict[str, Any]]:
    """The action and its arguments, if it is a message that a front end may send."""
    given = dict(message) if isinstance(message, dict) else {}
    name = given.pop("do", None)
    if not isinstance(name, str) or name not in ACTIONS:
        raise WorkbenchError(f"the editor can do {listed(ACTIONS)}; got {name!r:.80}")
    wanted = ACTIONS[name]
    wrong = given.keys() ^ wanted.keys() or {
        key for key, kind in wanted.items() if type(given[key]) is not kind
    }
    if wrong:
        raise WorkbenchError(
            f"{name}: wrong, missing or unknown: {listed(sorted(map(str, wrong)))}"
        )
    return name, given


def checked_sizes(cells: Any, filters: Any, image_size: Any) -> dict[str, int]:
    sizes = {"cells": cells, "filters": filters, "image_size": image_size}
    for name, value in sizes.items():
        if type(value) is not int or not 1 <= value <= LARGEST[name]:
            raise SettingsError(
                f"{name} must be a whole number from 1 to {LARGEST[name]} here, got {value!r}"
            )
    return sizes

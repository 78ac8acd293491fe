"""What the widgets share: text in the notebook's colours, pictures as HTML, and front-end files."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets

from ..drawing import draw
from ..errors import WorkbenchError

_HERE = Path(__file__).parent

VIEW = "application/vnd.jupyter.widget-view+json"


def escaped(text: object) -> str:
    """The text as HTML that shows exactly this text."""
    return html.escape(str(text))


def text(content: str = "", kind: str = "text", role: str | None = None) -> ipywidgets.HTML:
    """A widget that shows HTML in the notebook's own colours; change it by :func:`say`."""
    widget = ipywidgets.HTML()
    say(widget, content, kind, role)
    return widget


def say(widget: ipywidgets.HTML, content: str, kind: str = "text", role: str | None = None) -> None:
    """Set what a :func:`text` shows.

    Args:
        widget: from :func:`text`.
        content: HTML; pass what a user can choose through :func:`escaped`.
        kind: ``text``, ``faint`` or ``problem``.
        role: of the element, for screen readers: ``status`` is read out as it changes.
    """
    attribute = f' role="{role}"' if role else ""
    widget.value = f'<div class="nwb-text nwb-{kind}"{attribute}>{content}</div>'


def row(parts: Iterable[ipywidgets.Widget], **layout: Any) -> ipywidgets.Box:
    """The parts beside each other, in further lines where one is too narrow for them."""
    return ipywidgets.Box(
        list(parts),
        layout={"flex_flow": "row wrap", "align_items": "center", "width": "100%", **layout},
    )


def button(
    name: str, action: Callable[[], None], icon: str = "", tooltip: str = ""
) -> ipywidgets.Button:
    """A button as wide as its name."""
    widget = ipywidgets.Button(
        description=name, icon=icon, tooltip=tooltip or name, layout={"width": "max-content"}
    )
    widget.on_click(lambda _: action())
    return widget


def image(kind: str, content: bytes, words: str, style: str = "max-width: 100%") -> str:
    """A picture (``png`` or ``svg+xml``) inside the page; ``words`` say the same to a screen
    reader."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{escaped(words)}" src="data:image/{kind};base64,{data}" style="{style}">'


def attempt(function: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, str]:
    """What the function returns, and no words; or None, and the library's reason why not."""
    try:
        return function(*arguments, **named), ""
    except WorkbenchError as error:
        return None, str(error)


def drawn(thing: Any) -> str:
    """The drawing of a cell or an architecture as HTML; its text, where it cannot be drawn."""
    svg, reason = attempt(lambda: draw(thing).svg())
    if svg is None:  # graphviz is not installed
        return f'<pre>{escaped(thing)}</pre><div class="nwb-faint">{escaped(reason)}</div>'
    return image("svg+xml", svg.encode(), str(thing))


def table(rows: Iterable[Iterable[object]], head: Iterable[str] = (), css_class: str = "") -> str:
    """An HTML table of texts; the first column names its row."""
    lines = ["".join(f"<th>{escaped(name)}</th>" for name in head)]
    for name, *cells in rows:
        data = "".join(f"<td>{escaped(cell)}</td>" for cell in cells)
        lines.append(f'<th scope="row">{escaped(name)}</th>{data}')
    body = "".join(f"<tr>{line}</tr>" for line in lines if line)
    return f'<table class="{css_class}">{body}</table>'


def front_end(name: str) -> str:
    """A file of this package for a browser; a script comes with what all of them share."""
    shared = (_HERE / "common.js").read_text(encoding="utf-8") if name.endswith(".js") else ""
    return shared + (_HERE / name).read_text(encoding="utf-8")


class StandIn:
    """A widget's base that stands in for it where no widget can render: text, and a picture.

    The class that mixes it in has ``static()``, which returns something that shows itself.
    """

    def _repr_mimebundle_(self, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**settings)  # type: ignore[misc]
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, "text/plain": self._words()}, metadata

    def _words(self) -> str:
        return f"{type(self).__name__}: a widget; .static() shows the same without one"


class Panel(StandIn, ipywidgets.VBox):
    """A widget made of other widgets, which are closed with it.

    Args:
        shown: the widgets, one below the other.
        styles: files with rules of this widget's own. Style sheets are sent once: a new one with
            every change would make the browser lay out the whole page again.
    """

    def __init__(self, shown: Iterable[ipywidgets.Widget], *styles: str) -> None:
        rules = "".join(front_end(name) for name in ("common.css", *styles))
        sheet = ipywidgets.HTML(f"<style>{rules}</style>", layout={"display": "none"})
        super().__init__([*shown, sheet], layout={"width": "100%"})
        self.add_class("nwb-panel")

    def close(self) -> None:
        """Take the widget and its parts off the page."""
        for part in parts(self):
            part.unobserve_all()
            part.close()
        super().close()


def parts(box: ipywidgets.Box) -> list[ipywidgets.Widget]:
    """All widgets inside, the innermost first."""
    return [
        part
        for child in box.children
        for part in [*(parts(child) if isinstance(child, ipywidgets.Box) else []), child]
    ]


def answer_messages(widget: anywidget.AnyWidget, receive: Callable[[dict[str, Any]], None]) -> None:
    """Pass what a widget's front end asks for to ``receive``, and answer every message, so that a
    page knows whether a kernel is there (see ``common.js``)."""

    def on_message(_: Any, message: Any, __: Any) -> None:
        asked = dict(message) if isinstance(message, dict) else {}
        answer = asked.pop("id", None)
        try:
            receive(asked)
        finally:
            widget.send({"answer": answer})

    widget.on_msg(on_message)

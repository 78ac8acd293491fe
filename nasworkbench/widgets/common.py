"""What the widgets share: text in the notebook's colours, pictures, and what stands in for them."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from ..drawing import Drawing
from ..plots import png

#: A notebook's theme defines these colours; elsewhere the page's own are taken.
STYLE = """
.nwb-text { color: var(--jp-ui-font-color1, currentColor); line-height: 1.45; }
.nwb-faint { color: var(--jp-ui-font-color2, currentColor); }
.nwb-problem { color: var(--jp-error-color1, #b00020); font-weight: 600; }
.nwb-text table { border-collapse: collapse; }
.nwb-text td, .nwb-text th { padding: 1px 12px 1px 0; text-align: left; }
"""

VIEW = "application/vnd.jupyter.widget-view+json"


def escaped(text: object) -> str:
    """The text as HTML that shows exactly this text."""
    return html.escape(str(text))


def sheet(more: str = "") -> ipywidgets.HTML:
    """The style sheet, a part of every widget that uses :func:`text`. It is sent once: a new one
    with every change would make the browser look at the whole page again.

    Args:
        more: rules of one's own.
    """
    return ipywidgets.HTML(f"<style>{STYLE}{more}</style>", layout={"display": "none"})


def text(content: str = "", kind: str = "text", role: str | None = None) -> ipywidgets.HTML:
    """A widget that shows HTML in the notebook's own colours; change it by :func:`say`."""
    found = ipywidgets.HTML()
    say(found, content, kind, role)
    return found


def say(widget: ipywidgets.HTML, content: str, kind: str = "text", role: str | None = None) -> None:
    """Set what a :func:`text` shows.

    Args:
        widget: from :func:`text`.
        content: HTML; pass what a user can choose through :func:`escaped`.
        kind: ``text``, ``faint`` or ``problem``.
        role: of the element, for screen readers: ``status`` is read out as it changes.
    """
    said = f' role="{role}"' if role else ""
    widget.value = f'<div class="nwb-text nwb-{kind}"{said}>{content}</div>'


def picture(thing: Drawing | Figure) -> bytes:
    """PNG bytes of a drawing or a figure, for the ``value`` of an ``ipywidgets.Image``.

    Raises:
        WorkbenchError: a drawing, and graphviz is not installed.
    """
    return thing.png() if isinstance(thing, Drawing) else png(thing)


class StandIn:
    """A widget's base that stands in for it where no widget can render: text, and a picture.

    The class that mixes it in has ``static()``, whatever shows itself.
    """

    def _repr_mimebundle_(self, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        found = super()._repr_mimebundle_(**settings)  # type: ignore[misc]
        data, metadata = found if isinstance(found, tuple) else (found or {}, {})
        return {**data, "text/plain": self._words()}, metadata

    def _words(self) -> str:
        return f"{type(self).__name__}: a widget; .static() shows the same without one"

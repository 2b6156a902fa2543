"""HTML from parts: all text is escaped unless it is ``Html`` already."""

import html
import re
from collections.abc import Iterable


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value as text of a page."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. None among the children or attributes is left out.

    ``class_`` is the attribute ``class``; an underscore within a name becomes a hyphen; True is an
    attribute without a value.
    """
    given = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[object], between: str = "") -> Html:
    """Children one after the other; None is left out."""
    return Html(between.join(text(child) for child in children if child is not None))


def fill(template: str, **values: object) -> Html:
    """A text with {placeholders}, escaped, each filled with markup or with escaped text."""
    return Html(html.escape(template).format(**{key: text(value) for key, value in values.items()}))


def options(sentence: str) -> Html:
    """A sentence whose ``--options`` are kept on one line."""
    parts = re.split(r"(--[\w-]+)", sentence)
    return join(
        tag("code", part, class_="option") if i % 2 else part for i, part in enumerate(parts)
    )


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")

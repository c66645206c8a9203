"""How a row says that something is not as it must be."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any


class Fail(Exception):
    """A row's assertion did not hold. The text says what was expected and what was seen."""


class Skip(Exception):
    """A row cannot run in this place (a tool is missing). Counted and printed, never silent."""


def shown(value: Any, limit: int = 600) -> str:
    """`value` as text that fits in a report line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.replace("\n", "\\n")
    return text if len(text) <= limit else text[:limit] + f"… ({len(text)} characters)"


def require(condition: Any, what: str, seen: Any = None) -> None:
    """Fails the row unless `condition` holds."""
    if not condition:
        raise Fail(what if seen is None else f"{what}; seen: {shown(seen)}")


def equal(seen: Any, expected: Any, what: str) -> None:
    """Fails the row unless both are equal."""
    if seen != expected:
        raise Fail(f"{what}: expected {shown(expected)}, seen {shown(seen)}")


def once(start: Callable[..., Any]) -> Callable[..., Any]:
    """Starts a thing once per set of arguments; a failed start is remembered too, so that it costs its time once."""

    @functools.cache
    def attempt(*args: Any) -> tuple[Any, Exception | None]:
        try:
            return start(*args), None
        except (Fail, Skip, OSError) as error:
            return None, error

    @functools.wraps(start)
    def wrapped(*args: Any) -> Any:
        value, error = attempt(*args)
        if error is not None:
            raise error
        return value

    return wrapped

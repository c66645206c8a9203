"""Documents with one member forged at a time, and a report of what they were answered with."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import raw
from .outcome import Fail

_FORGED = {
    "null": None,
    "number": 1,
    "negative": -1,
    "fraction": 0.5,
    "true": True,
    "empty text": "",
    "word": "x",
    "hex number": "0x2710",
    "huge number text": "9" * 90,
    "long text": "A" * 20_000,
    "control text": "\u0000\r\n",
    "list": [],
    "object": {},
    "deep list": json.loads("[" * 60 + "]" * 60),
}


class Report:
    """Collects what went wrong, so that one run shows all of it."""

    def __init__(self, patience: float = raw.PATIENCE_SECONDS) -> None:
        self.patience = patience
        self.count = 0
        self.wrong: list[str] = []

    def add(self, name: str, status: int | None, allowed: set[int | None], seconds: float) -> None:
        """One case."""
        self.count += 1
        if status not in allowed:
            self.wrong.append(f"{name}: {status if status else 'no status'} instead of {sorted(map(str, allowed))}")
        if seconds > self.patience:
            self.wrong.append(f"{name}: took {seconds:.1f} s")

    def close(self) -> str:
        """Fails with everything that was wrong."""
        if self.wrong:
            raise Fail(f"{len(self.wrong)} of {self.count} cases: " + "; ".join(self.wrong[:25]))
        return f"{self.count} cases"


def mutants(root: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every member of a JSON document replaced by every forged value, or removed, one at a time."""
    for path in _paths(root, ()):
        label = ".".join(map(str, path))
        for kind, forged in _FORGED.items():
            yield f"{label} = {kind}", partial(replaced, root, path, forged)
        yield f"{label} removed", partial(removed, root, path)


def _paths(value: Any, path: tuple) -> Iterator[tuple]:
    """The path of every member at every depth."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        yield (*path, name)
        yield from _paths(inner, (*path, name))


def replaced(root: Any, path: tuple, forged: Any) -> Any:
    """A copy with this member changed."""
    changed = copy.deepcopy(root)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = forged
    return changed


def removed(root: Any, path: tuple) -> Any:
    """A copy without this member."""
    changed = copy.deepcopy(root)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed

"""The table of rows: their names, what they show, how they are chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .outcome import Fail


class Row(NamedTuple):
    """One row: `group/peer`, a sentence, and the check, which returns a note for the report line."""

    name: str
    about: str
    check: Callable[[], str]

    @property
    def words(self) -> set[str]:
        """Every word that chooses this row on the command line."""
        group, _, rest = self.name.partition("/")
        return {self.name, group, rest, *rest.split("+")}


ROWS: list[Row] = []


def row(name: str, about: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Adds a row to the table."""

    def add(check: Callable[[], str]) -> Callable[[], str]:
        if any(known.name == name for known in ROWS):
            raise ValueError(f"two rows are called {name}")
        ROWS.append(Row(name, about, check))
        return check

    return add


def chosen(words: list[str]) -> list[Row]:
    """The rows these words choose (all rows for no words); a word that chooses nothing is a mistake."""
    unknown = [word for word in words if not any(word in known.words for known in ROWS)]
    if unknown:
        raise Fail(f"no row is chosen by: {' '.join(unknown)} (see --list)")
    return [known for known in ROWS if not words or known.words & set(words)]

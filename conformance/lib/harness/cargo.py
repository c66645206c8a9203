"""Tests of our own workspace as rows: run by cargo, counted, and their failures told in full."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .outcome import Fail
from .paths import LOGS, REPOSITORY
from .procs import run

_TEST_SECONDS = 1800
_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
_FAILED = re.compile(r"^test (\S+) \.\.\. FAILED", re.MULTILINE)
# What a failed test printed stands between this line and the next list of names.
_PRINTED = re.compile(r"^failures:\n\n(---- .*?)^failures:$", re.MULTILINE | re.DOTALL)
_PANIC, _ERROR = re.compile(r" panicked at "), re.compile(r"^error")
_SHOWN_LINES = 40
_LINES_OF_ONE = 6


class Counts(NamedTuple):
    """What the programs of the tests say."""

    programs: int
    passed: int
    failed: int
    ignored: int


def test(name: str, words: list[str], env: dict[str, str]) -> Counts:
    """`cargo test` with these words; fails with what the tests said last unless all of them passed."""
    command = ["cargo", "test", "--locked", "--no-fail-fast", *words]
    done = run(command, {"RUST_BACKTRACE": "0", **env}, REPOSITORY, _TEST_SECONDS)
    log = LOGS / f"{name}.cargo.log"
    log.write_text(done.stdout + "\n--- stderr ---\n" + done.stderr)
    found = [tuple(map(int, one)) for one in _RESULT.findall(done.stdout)]
    counts = Counts(len(found), *(sum(one[column] for one in found) for column in range(3)))
    if done.returncode != 0:
        names = ", ".join(_FAILED.findall(done.stdout)) or "no test"
        head = f"cargo test ended with {done.returncode}: {counts.passed} passed, {counts.failed} failed ({names}); see {log}"
        raise Fail("\n     | ".join([head, *why(done.stdout, done.stderr)]))
    return counts


def why(stdout: str, stderr: str) -> list[str]:
    """The last lines that carry a panic (those of failed tests, then those of other threads), or cargo's errors, or its last lines."""
    printed = [line for block in _PRINTED.findall(stdout) for line in block.splitlines() if line.strip()]
    lines = [*printed, *_around(stderr, _PANIC.search)] or _around(stderr, _ERROR.match)
    return (lines or stderr.strip().splitlines())[-_SHOWN_LINES:]


def _around(text: str, told: Callable[[str], object]) -> list[str]:
    """Lines that this finds, each with the few lines that follow it."""
    lines, left, kept = text.splitlines(), 0, []
    for line in lines:
        left = _LINES_OF_ONE if told(line) else left - 1
        if left > 0:
            kept.append(line)
    return kept

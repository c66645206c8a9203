"""The command line: `run [--list] [peer…]`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from . import procs
from .outcome import Fail, Skip
from .paths import LOGS
from .rows import load
from .table import ROWS, Row, chosen


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="conformance/run",
        description="Runs unmodified packages of other projects against Faregate. Exits 0 only if every row passed.",
    )
    parser.add_argument("peer", nargs="*", help="rows to run, by name or by any part of it; all rows when none is given")
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    parser.add_argument("--allow-skip", action="store_true", help="a row that cannot run here does not fail the run")
    return parser.parse_args()


def _run(row: Row) -> str:
    """Runs one row and prints its line. Returns ok, FAIL or skip."""
    start = time.monotonic()
    try:
        verdict, note = "ok", row.check() or ""
    except Skip as why:
        verdict, note = "skip", str(why)
    except Fail as why:
        verdict, note = "FAIL", str(why)
    except OSError as error:  # refused, reset, timed out: the peer is away or hangs
        verdict, note = "FAIL", f"{type(error).__name__}: {error} (did the server die? see {LOGS})"
    except Exception as error:  # a broken row must not hide the rows after it
        traceback.print_exc(file=sys.stderr)
        verdict, note = "FAIL", f"the row itself broke: {type(error).__name__}: {error}"
    print(f"{verdict:4} {row.name:34} {time.monotonic() - start:5.1f} s  {note}".rstrip(), flush=True)
    return verdict


def main() -> int:
    """Runs the chosen rows; the exit code of the process."""
    arguments = _arguments()
    load()
    if arguments.list:
        for row in ROWS:
            print(f"{row.name:34} {row.about}")
        return 0
    procs.install_traps()
    try:
        rows = chosen(arguments.peer)
    except Fail as why:
        print(why, file=sys.stderr)
        return 2
    try:
        verdicts = [_run(row) for row in rows]
    finally:
        procs.stop_all()
    passed, failed, skipped = (verdicts.count(word) for word in ("ok", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or (skipped and not arguments.allow_skip) else 0

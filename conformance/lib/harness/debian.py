"""Programs out of Debian's unstable distribution, unpacked beside the machine's own: nothing is installed.

The mirror is the one that this machine's apt is configured with, or FAREGATE_DEBIAN_MIRROR. What comes from it is believed as
far as Debian signed it: the release file with the keyring of this machine, the index by the release file's checksum, each
package by the index's.
"""

from __future__ import annotations

import functools
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from .install import Lock
from .outcome import Fail, Skip, shown

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_HELPER = Path("/usr/lib/apt/apt-helper")
_SUITE = "sid"
_STAMP = ".unpacked"
_SECONDS = 300
# Taken before children get an environment without it.
_MIRROR = os.environ.get("FAREGATE_DEBIAN_MIRROR")
_CACHE = Path(os.environ.get("FAREGATE_CACHE") or Path.home() / ".cache" / "faregate") / "debian"

Stanza = dict[str, str]


class Program(NamedTuple):
    """A program with its libraries."""

    root: Path
    path: str

    def command(self) -> list[str]:
        """How it is started: by the loader it was built for, with its own libraries."""
        loader = next(iter(self.root.glob("usr/lib*/ld-linux-*.so.*")), None)
        loader = loader or next(iter(self.root.glob("usr/lib/*/ld-linux-*.so.*")), None)
        if loader is None:
            raise Fail(f"no loader in {self.root}")
        libraries = ":".join(str(folder) for folder in sorted(self.root.glob("usr/lib/*-linux-gnu*")))
        return [str(loader), "--library-path", libraries, str(self.root / self.path)]


def _tool(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise Fail(f"{' '.join(words)[:200]} failed: {shown((done.stderr or done.stdout)[-500:])}")
    return done.stdout


def _mirror() -> str:
    if _MIRROR:
        return _MIRROR.rstrip("/") + "/"
    for line in _tool("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split():
        if line.rstrip("/").endswith("/debian"):
            return line
    raise Skip("apt is configured with no Debian mirror; FAREGATE_DEBIAN_MIRROR may name one")


def _fetch(url: str, to: Path, sha256: str | None = None) -> Path:
    """Downloads as apt does: through its proxies, with its retries."""
    _tool(str(_HELPER), "download-file", url, str(to), *([f"SHA256:{sha256}"] if sha256 else []))
    return to


def _release(mirror: str, folder: Path) -> str:
    """The text of the release file that Debian signed."""
    signed = _fetch(f"{mirror}dists/{_SUITE}/InRelease", folder / "InRelease")
    plain = folder / "Release"
    _tool("gpgv", "--quiet", "--keyring", str(_KEYRING), "--output", str(plain), str(signed))
    return plain.read_text()


def _index(mirror: str, folder: Path) -> dict[str, Stanza]:
    name = f"main/binary-{_tool('dpkg', '--print-architecture').strip()}/Packages.xz"
    sums = _release(mirror, folder).partition("\nSHA256:\n")[2]
    found = re.search(rf"^ ([0-9a-f]{{64}}) +\d+ {re.escape(name)}$", sums, re.MULTILINE)
    if not found:
        raise Fail(f"Debian's {_SUITE} has no {name}")
    packed = _fetch(f"{mirror}dists/{_SUITE}/{name}", folder / "Packages.xz", found[1])
    stanzas: dict[str, Stanza] = {}
    for text in lzma.decompress(packed.read_bytes()).decode().split("\n\n"):
        stanza = dict(re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE))
        if "Package" in stanza:
            stanzas[stanza["Package"]] = stanza
    return stanzas


def _needed(index: dict[str, Stanza], package: str) -> list[Stanza]:
    """The package and the libraries that it needs, and they need."""
    found: dict[str, Stanza] = {}
    left = [package]
    while left:
        name = left.pop()
        if name in found or name not in index:
            continue
        found[name] = index[name]
        for field in ("Pre-Depends", "Depends"):
            for choice in index[name].get(field, "").split(","):
                wanted = re.match(r"\s*(lib[\w.+-]+)", choice)
                if wanted:
                    left.append(wanted[1])
    return list(found.values())


@functools.cache
def newest(name: re.Pattern[str]) -> str:
    """The package with the highest number in its name, where the pattern's group is; one that is unpacked already is good."""
    unpacked = [path.parent.name for path in _CACHE.glob(f"*/{_STAMP}")]
    found = [package for package in unpacked if name.fullmatch(package)]
    if not found:
        _needs("packages")
        with Lock(), tempfile.TemporaryDirectory() as folder:
            found = [package for package in _index(_mirror(), Path(folder)) if name.fullmatch(package)]
    if not found:
        raise Skip(f"Debian's {_SUITE} has no {name.pattern}")
    return max(found, key=lambda package: int(name.fullmatch(package)[1]))


def _needs(package: str) -> None:
    for tool in ("apt-get", "dpkg", "dpkg-deb", "gpgv"):
        if shutil.which(tool) is None:
            raise Skip(f"{tool} is not installed: {package} comes from Debian")
    for file in (_HELPER, _KEYRING):
        if not file.exists():
            raise Skip(f"{file} is not there: {package} comes from Debian")


@functools.cache
def program(package: str, path: str) -> Program:
    """A program of a package, with its libraries, from the cache or from Debian."""
    _needs(package)
    root = _CACHE / package
    with Lock():
        if not (root / _STAMP).exists():
            print(f"# unpacking Debian's {package} …", file=sys.stderr, flush=True)
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(parents=True)
            with tempfile.TemporaryDirectory() as folder:
                _unpack(package, root, Path(folder))
            (root / _STAMP).touch()
    return Program(root, path)


def _unpack(package: str, root: Path, folder: Path) -> None:
    mirror = _mirror()
    index = _index(mirror, folder)
    if package not in index:
        raise Skip(f"Debian's {_SUITE} has no {package}")
    for stanza in _needed(index, package):
        deb = _fetch(mirror + stanza["Filename"], folder / "package.deb", stanza["SHA256"])
        _tool("dpkg-deb", "-x", str(deb), str(root))
        deb.unlink()

"""The system's hosts file: names that are known without asking anybody."""

from pathlib import Path
from time import monotonic
from typing import Final

from core.domain.urls import literal_address

HOSTS_PATH: Final = Path("/etc/hosts")
_LOOK_AGAIN_S: Final = 5.0
_LOOPBACK: Final = ("127.0.0.1", "::1")


class HostsFile:
    """Reads the file again when it has changed, looking at most every five seconds. A file that is not there has no names."""

    def __init__(self, path: Path = HOSTS_PATH) -> None:
        self._path = path
        self._looked_at = -_LOOK_AGAIN_S
        self._version: tuple[int, int] | None = None
        self._names: dict[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """Addresses of a lower-case name, in the order of the file; `localhost` and names below it are loopback (RFC 6761)."""
        now = monotonic()
        if now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            self._refresh()
        if found := self._names.get(name):
            return found
        return _LOOPBACK if name == "localhost" or name.endswith(".localhost") else ()

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if version != self._version:
                self._names = _parse(self._path.read_text(encoding="utf-8", errors="replace"))
                self._version = version
        except OSError:
            self._names, self._version = {}, None


def _parse(text: str) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        if literal_address(address) is None:
            continue
        for alias in aliases:
            known = names.setdefault(alias.lower(), ())
            if address not in known:
                names[alias.lower()] = (*known, address)
    return names

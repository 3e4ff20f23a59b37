"""Typed readers of the environment.

A setting `NAME` is read from the variable `NAME`, from the file that `NAME_FILE` names, or from the Secrets Manager secret that
`NAME_SECRET` names, in this order. What is missing or malformed stops the process with the variable's name: a monitor that
starts with half of its settings is worse than one that does not start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


class SettingError(Exception):
    """A setting is missing or malformed; the message names it and never shows its value."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Text that must not reach logs or tracebacks; `reveal()` where it is used."""

    _value: str

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"


def fetch_from_secrets_manager(secret_id: str) -> str:
    """The current string of a Secrets Manager secret (boto3 is imported here: most processes never need it)."""
    import boto3  # noqa: PLC0415  (0.3 s that only this path needs)

    return str(boto3.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"])


class Env:
    """Reads settings from a mapping, `os.environ` in production."""

    def __init__(self, environ: Mapping[str, str], fetch_secret: Callable[[str], str] = fetch_from_secrets_manager) -> None:
        self._environ = environ
        self._fetch_secret = fetch_secret

    def _raw(self, name: str) -> str | None:
        if value := self._environ.get(name):
            return value
        if path := self._environ.get(f"{name}_FILE"):
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingError(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
            except UnicodeDecodeError:
                raise SettingError(f"{name}_FILE: {path} is not UTF-8 text") from None
        if secret_id := self._environ.get(f"{name}_SECRET"):
            return self._fetch_secret(secret_id)
        return None

    def text(self, name: str, default: str | None = None) -> str:
        """A non-empty string; an empty variable counts as unset."""
        value = self._raw(name) or default
        if value is None:
            raise SettingError(f"{name} is not set")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string or None when unset or empty."""
        return self._raw(name) or None

    def secret(self, name: str, default: str | None = None) -> Secret:
        """A string that does not show in logs."""
        return Secret(self.text(name, default))

    def integer(self, name: str, default: int | None = None, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number within `low..high`."""
        raw = self._raw(name)
        if not raw:
            if default is None:
                raise SettingError(f"{name} is not set")
            return default
        try:
            value = int(raw)
        except ValueError:
            raise SettingError(f"{name} must be a whole number") from None
        if not low <= value <= high:
            raise SettingError(f"{name} must be between {low} and {high}")
        return value

    def number(self, name: str, default: float, *, low: float = 0.0, high: float = 1e9) -> float:
        """A decimal number within `low..high`."""
        raw = self._raw(name)
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            raise SettingError(f"{name} must be a number") from None
        if not low <= value <= high:
            raise SettingError(f"{name} must be between {low} and {high}")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """1, true, yes, on or 0, false, no, off."""
        raw = (self._raw(name) or "").lower()
        if not raw:
            return default
        if raw not in TRUE_WORDS | FALSE_WORDS:
            raise SettingError(f"{name} must be true or false")
        return raw in TRUE_WORDS

    def words(self, name: str, default: str = "") -> tuple[str, ...]:
        """A comma-separated list; empty entries are dropped."""
        return tuple(word.strip() for word in (self._raw(name) or default).split(",") if word.strip())

    def url(self, name: str, default: str | None = None, *, schemes: tuple[str, ...] = ("http", "https")) -> str:
        """A URL with one of `schemes` and a host, without a trailing slash."""
        value = self.text(name, default)
        if not _is_url(value, schemes):
            raise SettingError(f"{name} must be a URL with scheme {' or '.join(schemes)}")
        return value.rstrip("/")


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # unbalanced brackets, a port that is none
        return False

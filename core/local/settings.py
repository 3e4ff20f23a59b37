"""Settings of one box: where its data is, which ports it takes, what it uses instead of its own stand-ins.

Everything has a default, so that `make up` needs none of them. `docs/reference/settings.md` lists them.
"""

from dataclasses import dataclass
from pathlib import Path

from core.env import Env, Secret, SettingError
from core.local.ports import Ports

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "local"
"""`UPTIME_ENV` of one box: the prefix of the names of its resources in the AWS stand-in."""

REGION = "eu-west-1"
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104  (only compared with, to pick a printable URL)


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """Settings of one box. `database_url` and `redis_url` are set when the servers are the user's own; `archive` takes the log of ours."""

    home: Path
    ports: Ports
    bind: str
    public_url: str
    ping_url: str
    database_url: Secret | None
    redis_url: Secret | None
    private_targets: bool
    receipt_timeout_s: int
    archive: Path | None

    @property
    def local_host(self) -> str:
        """Where this machine reaches what listens on the bind address."""
        return "127.0.0.1" if self.bind in ANY_ADDRESS else self.bind

    @classmethod
    def from_env(cls, env: Env) -> "BoxSettings":
        """Read the settings.

        Raises:
            SettingError: one of them is malformed; the message names it.
        """
        ports = Ports(env.integer("UPTIME_PORT_BASE", 8000, low=1024, high=65_000))
        bind = env.text("BIND", "127.0.0.1")
        shown = printable_host(bind)
        return cls(
            home=_folder("UPTIME_HOME", env.text("UPTIME_HOME", str(CHECKOUT / "var"))),
            ports=ports,
            bind=bind,
            public_url=env.url("PUBLIC_URL", f"http://{shown}:{ports.web}"),
            ping_url=env.url("PING_URL", f"http://{shown}:{ports.gateway}"),
            database_url=_optional(env, "DATABASE_URL", ("postgres", "postgresql")),
            redis_url=_optional(env, "REDIS_URL", ("redis", "rediss")),
            private_targets=env.boolean("PRIVATE_TARGETS", True),
            receipt_timeout_s=env.integer("RECEIPT_TIMEOUT_S", 60, low=1),
            archive=_folder("UPTIME_ARCHIVE", archive) if (archive := env.optional_text("UPTIME_ARCHIVE")) else None,
        )


def _folder(name: str, text: str) -> Path:
    folder = Path(text).expanduser()
    if not folder.is_absolute():
        raise SettingError(f"{name} must be an absolute path")
    return folder


def _optional(env: Env, name: str, schemes: tuple[str, ...]) -> Secret | None:
    if env.optional_text(name) is None:
        return None
    return Secret(env.url(name, schemes=schemes))


def printable_host(bind: str) -> str:
    """A host to put in URLs that are opened on this machine."""
    if bind in ANY_ADDRESS:
        return "127.0.0.1"
    return f"[{bind}]" if ":" in bind else bind

"""What may differ between two deployments, read from the context of the CDK (`cdk.json`, `cdk deploy -c key=value`).

What is one environment's own stands in `cdk.json` under `environments`; a key of the context itself wins over it. Reading is strict: an
unknown key, a malformed value or a contradiction stops the synthesis with the key's name, in whichever environment it stands.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from cdk.capacity import INSTANCE_TYPES, instances_for
from core.contracts.names import Names

ENVIRONMENTS: Final = ("prod", "staging", "dev")
OWN: Final = "environments"
"""Key of the context under which each environment has what is its own."""

TRUE_WORDS: Final = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS: Final = frozenset({"", "0", "false", "no", "off"})
DATABASE_GIB: Final = range(20, 501)
SPARE_PERCENT: Final = range(51)
MAILS_PER_S: Final = range(1001)
"""As alert dispatch reads it."""
FOREIGN: Final = re.compile(r"[@:/]")
"""Keys with one of these are flags and look-ups of the CDK itself."""

DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "prod": {"multi_az": True, "control_tasks": 2, "dr_region": "eu-central-1"},
    "staging": {"web_tasks": 1, "worker_tasks": 1, "max_tasks": 4, "database_class": "t3.small", "cache_class": "cache.t3.small"},
    "dev": {"web_tasks": 1, "worker_tasks": 1, "max_tasks": 2, "database_class": "t3.micro", "cache_class": "cache.t3.micro"},
}
"""What an environment has instead of the defaults of `Config`."""

LEAN: Final[Mapping[str, Any]] = {
    "instance_class": "t4g.small", "spot_workers": True, "spare_percent": 0, "detailed_metrics": False, "flow_logs": "rejected",
    "small_watchers": True, "database_gib": 20, "cache_class": "cache.t4g.micro",
}  # fmt: skip
NO_STANDBY: Final[Mapping[str, Any]] = {"database_class": "t4g.micro", "cache_replicas": 0, "nat": "instance"}
PROFILES: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "specified": {},
    "lean": {
        "prod": {**LEAN, "database_class": "t4g.small"},
        "staging": {**LEAN, **NO_STANDBY},
        "dev": {**LEAN, **NO_STANDBY},
    },
}
"""What a profile has instead of that, by environment (ADR 190)."""


class ConfigError(Exception):
    """A key of the context is unknown, malformed, missing or contradicts another; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One deployment. `docs/reference/aws-config.md` says what each key means."""

    env: str
    account: str
    profile: str = "specified"
    region: str = "eu-west-1"
    domain: str = ""
    hosted_zone_id: str = ""
    image: str = "latest"
    email_from: str = ""
    alarm_email: str = ""
    multi_az: bool = False
    nat: str = "gateway"
    nat_gateways: int = 1
    flow_logs: str = "all"
    instance_class: str = "t3.medium"
    database_class: str = "t3.medium"
    database_gib: int = 50
    cache_class: str = "cache.t3.medium"
    cache_replicas: int = 1
    web_tasks: int = 2
    worker_tasks: int = 2
    control_tasks: int = 1
    max_tasks: int = 10
    spot_workers: bool = False
    spare_percent: int = 20
    detailed_metrics: bool = True
    small_watchers: bool = False
    lambda_architecture: str = "arm64"
    broker: str = "redis"
    read_replica: bool = False
    cloudfront: bool = False
    cloudfront_certificate: str = ""
    dr_region: str = ""
    ping_mail: bool = False
    mails_per_s: int = 14
    sms_channels: bool = False
    github_repository: str = ""
    github_oidc_provider: str = ""

    @classmethod
    def from_context(cls, context: Mapping[str, Any], environ: Mapping[str, str]) -> "Config":
        """Read a context; the account and the region may come from the environment that the CDK sets.

        Raises:
            ConfigError: naming the key.
        """
        given = {key: value for key, value in context.items() if not FOREIGN.search(key)}
        own = _own(given.pop(OWN, {}))
        read = _read(given)
        env = read.get("env", "")
        if env not in ENVIRONMENTS:
            raise ConfigError(f"env: must be one of {', '.join(ENVIRONMENTS)}")
        read = {**own.get(env, {}), **read}
        profile = read.get("profile", "specified")
        if profile not in PROFILES:
            raise ConfigError(f"profile: must be one of {', '.join(PROFILES)}")
        account = {"account": environ.get("CDK_DEFAULT_ACCOUNT", "")}
        values = {**account, **DEFAULTS[env], **PROFILES[profile].get(env, {}), **read}
        if not values["account"]:
            raise ConfigError("account: is missing; say -c account=..., or log in")
        config = cls(**values)
        for key, is_wrong, why in RULES:
            if is_wrong(config):
                raise ConfigError(f"{key}: {why}")
        return config

    @property
    def names(self) -> Names:
        """The names of this environment's resources."""
        return Names(self.env)

    @property
    def is_prod(self) -> bool:
        """Whether data must survive a mistake."""
        return self.env == "prod"

    @property
    def architecture(self) -> str:
        """That of the instances, of what Fargate runs, and so of the image: `arm64` or `x86_64`."""
        return INSTANCE_TYPES[self.instance_class].architecture

    @property
    def zones(self) -> list[str]:
        """The two availability zones; written down, because looking them up would ask AWS."""
        return [f"{self.region}a", f"{self.region}b"]

    @property
    def sender(self) -> str:
        """Who mail comes from."""
        return self.email_from or f"alerts@{self.domain}"

    @property
    def grafana_host(self) -> str:
        """Host name of Grafana."""
        return f"grafana.{self.domain}"

    @property
    def ping_host(self) -> str:
        """Host name that jobs ping, and domain that mails are pings of."""
        return f"ping.{self.domain}"

    @property
    def public_url(self) -> str:
        """Address of the web, where it has a name."""
        return f"https://{self.domain}" if self.domain else ""

    @property
    def broker_url(self) -> str:
        """Where Celery's tasks go, where that is not Redis."""
        return f"sqs://{self.region}/{self.account}/{self.names.tasks_prefix}" if self.broker == "sqs" else ""

    def bucket(self, name: str) -> str:
        """Names of buckets are shared by all of AWS, so ours end in account and region."""
        return f"{name}-{self.account}-{self.region}"

    def role(self, noun: str) -> str:
        """Names of roles are shared by all regions, and the one for disasters must be able to have all of them beside those here."""
        return f"{self.env}-uptimemonitor-{noun}-{self.region}"

    def vault(self) -> str:
        """Name of the vault that holds backups."""
        return f"{self.env}-uptimemonitor"

    def copies_vault(self) -> str:
        """Name of the vault that holds their copies, in the region for disasters: where there may be an estate with its own one day."""
        return f"{self.env}-uptimemonitor-copies-of-{self.region}"


type Rule = tuple[str, Callable[[Config], object], str]

RULES: Final[tuple[Rule, ...]] = (
    ("account", lambda c: not re.fullmatch(r"\d{12}", c.account), "must be twelve digits"),
    ("region", lambda c: not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", c.region), "must be a region, for example eu-west-1"),
    ("domain", lambda c: c.is_prod and not c.domain, "prod must have one: without it there is no TLS"),
    ("domain", lambda c: c.domain and not re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", c.domain), "must be a host name"),
    ("hosted_zone_id", lambda c: bool(c.domain) != bool(c.hosted_zone_id), "goes together with domain"),
    ("image", lambda c: not re.fullmatch(r"[\w][\w.-]{0,127}|sha256:[0-9a-f]{64}", c.image), "must be a tag or sha256:<digest>"),
    ("email_from", lambda c: not (c.domain or c.email_from), "must be said where there is no domain"),
    ("email_from", lambda c: "@" not in c.sender, "must be an address"),
    ("nat_gateways", lambda c: not 1 <= c.nat_gateways <= len(c.zones), "must be 1 or 2"),
    ("nat", lambda c: c.nat not in ("gateway", "instance"), "must be gateway or instance"),
    ("flow_logs", lambda c: c.flow_logs not in ("all", "rejected"), "must be all or rejected"),
    ("database_gib", lambda c: c.database_gib not in DATABASE_GIB, "must be 20 to 500: it grows by itself up to that"),
    ("cache_replicas", lambda c: c.cache_replicas not in (0, 1), "must be 0 or 1"),
    ("cache_replicas", lambda c: c.multi_az and not c.cache_replicas, "must be 1 with multi_az: a zone may go"),
    ("spare_percent", lambda c: c.spare_percent not in SPARE_PERCENT, "must be 0 to 50"),
    ("instance_class", lambda c: c.instance_class not in INSTANCE_TYPES, f"must be one of {', '.join(INSTANCE_TYPES)}"),
    ("web_tasks", lambda c: c.web_tasks < 1, "must be 1 at least"),
    ("worker_tasks", lambda c: c.worker_tasks < 1, "must be 1 at least"),
    ("control_tasks", lambda c: c.control_tasks not in (1, 2), "must be 1 or 2"),
    ("max_tasks", lambda c: c.max_tasks < max(c.web_tasks, c.worker_tasks), "must not be below web_tasks and worker_tasks"),
    ("multi_az", lambda c: c.multi_az and c.is_prod and instances_for(c) < len(c.zones), "needs instances in both zones"),
    ("lambda_architecture", lambda c: c.lambda_architecture not in ("arm64", "x86_64"), "must be arm64 or x86_64"),
    ("broker", lambda c: c.broker not in ("redis", "sqs"), "must be redis or sqs"),
    ("cloudfront", lambda c: c.cloudfront and not c.domain, "needs a domain"),
    ("cloudfront_certificate", lambda c: c.cloudfront != bool(c.cloudfront_certificate), "goes together with cloudfront"),
    ("cloudfront_certificate", lambda c: c.cloudfront and ":us-east-1:" not in c.cloudfront_certificate, "must be of us-east-1"),
    ("dr_region", lambda c: c.dr_region == c.region, "must be another one than region"),
    ("ping_mail", lambda c: c.ping_mail and not c.domain, "needs a domain"),
    ("mails_per_s", lambda c: c.mails_per_s not in MAILS_PER_S, "must be 1000 at most"),
    ("github_oidc_provider", lambda c: c.github_oidc_provider and not c.github_repository, "goes with github_repository"),
)  # fmt: skip
"""Key, what is wrong, why."""


def _own(said: object) -> dict[str, dict[str, Any]]:
    """What each environment has of its own. All are read, so that a slip does not wait for the day on which its environment is deployed."""
    own = {}
    for env, values in _object(OWN, said).items():
        if env not in ENVIRONMENTS:
            raise ConfigError(f"{OWN}.{env}: must be one of {', '.join(ENVIRONMENTS)}")
        own[env] = _read(_object(f"{OWN}.{env}", values), f"{OWN}.{env}.")
        if "env" in own[env]:
            raise ConfigError(f"{OWN}.{env}.env: is said by where it stands")
    return own


def _object(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key}: must be an object, in cdk.json")
    return value


def _read(given: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """The values of one place, typed; `place` is before the name of a key that is wrong."""
    known = {field.name: field.type for field in fields(Config)}
    if unknown := sorted(given.keys() - known.keys()):
        raise ConfigError(f"{place}{unknown[0]}: there is no such key")
    return {key: _typed(f"{place}{key}", known[key], value) for key, value in given.items()}


def _typed(key: str, kind: object, value: object) -> object:
    """The value as its field wants it: `-c` gives text, `cdk.json` may give JSON."""
    text = str(value).strip()
    if kind is bool:
        if text.lower() not in TRUE_WORDS | FALSE_WORDS:
            raise ConfigError(f"{key}: must be true or false")
        return text.lower() in TRUE_WORDS
    if kind is int:
        if not re.fullmatch(r"\d{1,4}", text):
            raise ConfigError(f"{key}: must be a whole number")
        return int(text)
    return text

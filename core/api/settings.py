"""Django settings, all from the environment (`docs/reference/settings.md`)."""

import os
from datetime import timedelta

from psycopg.conninfo import conninfo_to_dict
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.adapters.database import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS
from core.contracts.names import Names
from core.env import Env

_env = Env(os.environ)
_database = {
    name: str(value)
    for name, value in conninfo_to_dict(_env.url("DATABASE_URL", schemes=("postgres", "postgresql"))).items()
    if value is not None
}

# --- ours -----------------------------------------------------------------------------------------------------------
NAMES = Names(_env.text("UPTIME_ENV", "local"))
AWS_REGION = _env.text("AWS_REGION", _env.text("AWS_DEFAULT_REGION", "eu-west-1"))
PUBLIC_URL = _env.url("PUBLIC_URL")
PING_URL = _env.url("PING_URL")
PING_BODIES_BUCKET = _env.text("PING_BODIES_BUCKET", NAMES.ping_bodies_bucket)
REDIS_URL = _env.url("REDIS_URL", schemes=("redis", "rediss"))
BROKER_URL = _env.url("BROKER_URL", REDIS_URL, schemes=("redis", "rediss", "sqs"))
CHANNEL_VAULT_KEYS = _env.secret("CHANNEL_VAULT_KEYS")
PRIVATE_TARGETS = _env.boolean("PRIVATE_TARGETS", default=False)
SMTP_PORT_25_OPEN = _env.boolean("SMTP_PORT_25_OPEN", default=False)
VERIFY_ADDRESSES = _env.boolean("VERIFY_ADDRESSES", default=True)
SMS_CHANNELS = _env.boolean("SMS_CHANNELS", default=False)
DOMAIN_EXPIRY = _env.boolean("DOMAIN_EXPIRY", default=True)
METRICS_TOKEN = _env.secret("METRICS_TOKEN") if _env.optional_text("METRICS_TOKEN") else None
METRICS_NAMESPACE = _env.optional_text("METRICS_NAMESPACE")
LOGINS_PER_MINUTE = _env.integer("LOGINS_PER_MINUTE", 20, low=1)
CHECKS_PER_MINUTE = _env.integer("CHECKS_PER_MINUTE", 30, low=1)
QUESTIONS_PER_HOUR = _env.integer("QUESTIONS_PER_HOUR", 20, low=1)
WAITING_CHECKS = _env.integer("WAITING_CHECKS", 2, low=0, high=1000)
REGISTRATIONS_PER_HOUR = _env.integer("REGISTRATIONS_PER_HOUR", 20, low=1)

# --- Django ---------------------------------------------------------------------------------------------------------
SECRET_KEY = _env.secret("SECRET_KEY").reveal()
DEBUG = False
ALLOWED_HOSTS = list(_env.words("ALLOWED_HOSTS", "*"))
ROOT_URLCONF = "core.api.urls"
WSGI_APPLICATION = "core.api.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
APPEND_SLASH = False
LOGGING_CONFIG = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "core.api",
]
AUTH_USER_MODEL = "uptime.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
MIDDLEWARE = [
    "core.api.middleware.RequestLog",
    "core.api.middleware.SecurityHeaders",
    "corsheaders.middleware.CorsMiddleware",
    "core.api.middleware.WholeBodies",
    "core.api.middleware.TrailingSlash",
]
CORS_ALLOWED_ORIGINS = list(_env.words("CORS_ORIGINS"))
CORS_ALLOW_HEADERS = ("authorization", "content-type", "x-api-key", "workspace-id", "x-request-id")
CORS_EXPOSE_HEADERS = ("x-request-id", "retry-after")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.pop("dbname", ""),
        "USER": _database.pop("user", ""),
        "PASSWORD": _database.pop("password", ""),
        "HOST": _database.pop("host", ""),
        "PORT": _database.pop("port", "5432"),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database,
            "application_name": "web",
            "connect_timeout": 3,
            "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}",
            "pool": {"min_size": 1, "max_size": _env.integer("WEB_DATABASE_POOL", 8, low=1, high=100), "timeout": 5.0},
        },
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "web",
        "OPTIONS": {"socket_connect_timeout": 0.3, "socket_timeout": 0.3, "retry": Retry(NoBackoff(), 0)},
    }
}

# --- REST framework -------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["core.api.auth.ApiKeyAuthentication", "core.api.auth.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["core.api.permissions.MayUseWorkspace"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.JsonBody"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.api.parsers.AlwaysJson",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_FILTER_BACKENDS": ["core.api.filters.StrictFilters"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "core.api.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": _env.integer("TRUSTED_PROXIES", 0, high=10),
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "USER_ID_CLAIM": "sub",
    "SIGNING_KEY": SECRET_KEY,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Uptime Monitor",
    "DESCRIPTION": "Watch websites and scheduled jobs, and tell people when that changes.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "core.api.accounts.models.Role.choices",
        "KeyRoleEnum": "core.api.accounts.serializers.KEY_ROLES",
        "MonitorKindEnum": "core.api.monitors.models.MonitorKind.choices",
        "MonitorStateEnum": "core.api.monitors.serializers.STATES",
        "PingKindEnum": "core.api.heartbeats.serializers.PING_KINDS",
        "ChannelKindEnum": "core.api.channels.serializers.KIND_NAMES",
        "DeliveryStateEnum": "core.api.incidents.models.DeliveryState.choices",
        "AlertStateEnum": "core.api.incidents.serializers.AlertState.choices",
        "WindowKindEnum": "core.api.maintenance.models.WindowKind.choices",
        "WeekdayEnum": "core.api.maintenance.serializers.WEEKDAYS",
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SORT_OPERATIONS": True,
    "PREPROCESSING_HOOKS": ["core.api.schema.only_versioned"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.api.schema.add_problem_responses",
    ],
}

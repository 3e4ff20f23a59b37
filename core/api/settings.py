"""Django settings, all from the environment (`docs/reference/settings.md`)."""

import os
from urllib.parse import unquote, urlsplit

from core.env import Env

_env = Env(os.environ)
_database = urlsplit(_env.url("DATABASE_URL", schemes=("postgres", "postgresql")))

SECRET_KEY = _env.secret("SECRET_KEY").reveal()
DEBUG = False
ALLOWED_HOSTS = list(_env.words("ALLOWED_HOSTS", "*"))
ROOT_URLCONF = "core.api.urls"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
APPEND_SLASH = True

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "rest_framework",
    "corsheaders",
    "django_filters",
    "drf_spectacular",
    "core.api",
]
AUTH_USER_MODEL = "uptime.User"
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(_database.path.lstrip("/")),
        "USER": unquote(_database.username or ""),
        "PASSWORD": unquote(_database.password or ""),
        "HOST": _database.hostname or "",
        "PORT": str(_database.port or 5432),
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 8}, "application_name": "web"},
    }
}

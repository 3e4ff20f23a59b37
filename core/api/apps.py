"""The one Django app."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Owns the schema (migrations) and the REST API."""

    name = "core.api"
    label = "uptime"
    default_auto_field = "django.db.models.BigAutoField"

"""The web process: `granian --interface wsgi core.api.wsgi:application`."""

import importlib
import logging
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from core import logs
from core.adapters import host_disk
from core.api.middleware import tracebacks_only

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.api.settings")
logs.configure("web", os.environ.get("LOG_LEVEL", "INFO"))

logging.getLogger("django.request").addFilter(tracebacks_only)
logging.getLogger("botocore").setLevel("WARNING")

application = get_wsgi_application()

# Now rather than within the first request.
importlib.import_module("core.api.urls")

if settings.METRICS_NAMESPACE:
    host_disk.tell_regularly(settings.METRICS_NAMESPACE, settings.NAMES.env)

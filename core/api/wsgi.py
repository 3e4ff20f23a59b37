"""The web process: `granian --interface wsgi core.api.wsgi:application`."""

import importlib
import logging
import os

from django.core.wsgi import get_wsgi_application

from core import logs
from core.api.middleware import tracebacks_only

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.api.settings")
logs.configure("web", os.environ.get("LOG_LEVEL", "INFO"))

logging.getLogger("django.request").addFilter(tracebacks_only)
logging.getLogger("botocore").setLevel("WARNING")

application = get_wsgi_application()

# Now rather than within the first request.
importlib.import_module("core.api.urls")

"""The web process: `granian --interface wsgi core.api.wsgi:application`."""

import importlib
import logging
import os

from django.core.wsgi import get_wsgi_application

from core import logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.api.settings")
logs.configure("web", os.environ.get("LOG_LEVEL", "INFO"))

# Every answer has its own line in the log already, with its status; Django adds the traceback where there is one.
logging.getLogger("django.request").addFilter(lambda record: record.exc_info is not None)
logging.getLogger("botocore").setLevel("WARNING")

application = get_wsgi_application()

# Now rather than within the first request.
importlib.import_module("core.api.urls")

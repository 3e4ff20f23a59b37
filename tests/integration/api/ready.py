"""Sets Django up when it is imported, so that modules of tests may import models at their top."""

import django

import tests.environment  # noqa: F401  (what the settings read)

django.setup()

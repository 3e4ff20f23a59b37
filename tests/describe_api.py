"""Writes the OpenAPI description: `python -m tests.describe_api` after each change of the API."""

from pathlib import Path

from django.core.management import call_command

import tests.integration.api.ready  # noqa: F401  (sets Django up)

ROOT = Path(__file__).parents[1]


def main() -> None:
    """The web process serves the JSON; the YAML is for readers of the documents."""
    for path, form in ((ROOT / "core/api/openapi.json", "openapi-json"), (ROOT / "docs/reference/openapi.yaml", "openapi")):
        call_command("spectacular", "--validate", "--fail-on-warn", "--format", form, "--file", str(path))


if __name__ == "__main__":
    main()

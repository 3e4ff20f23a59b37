"""The slugs of heartbeats, and what else of their settings the edge has."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError

from core.api import edge
from core.api.monitors.models import Monitor
from core.api.problems import FieldError
from core.contracts.slugs import slug_from
from core.domain.heartbeat_watch import EdgeOptions

SLUG: Final = "slug"
CANDIDATES: Final = 5
"""Slugs to try: one that the database says is free may just have been taken by a ping that creates."""

CONSTRAINT: Final = "monitor_slug_once"


def free_slugs(*, workspace_id: UUID, name: str) -> list[str]:
    """Slugs that a name makes and that no heartbeat of the workspace has, in the order in which to try them."""
    taken = set(Monitor.objects.filter(workspace_id=workspace_id, slug__isnull=False).values_list("slug", flat=True))
    found: list[str] = []
    for _ in range(CANDIDATES):
        slug = slug_from(name, taken={text for text in taken if text} | set(found))
        found.append(slug)
    return found


def take_slug(*, workspace_id: UUID, uid: UUID, slugs: Sequence[str], options: EdgeOptions) -> str:
    """Take the first of these slugs that is free at the edge; `options` are those that the heartbeat's item has.

    Raises:
        FieldError: none is.
        EdgeUnreachable: it is not certain that it was taken.
    """
    from core.adapters.ping_names import SlugTaken  # noqa: PLC0415  (memory, see `core.api.edge`)

    for slug in slugs:
        try:
            edge.ping_names().take(workspace_id, slug, uid)
        except SlugTaken:
            continue
        if slug != options.slug:
            edge.heartbeat_table().set_options(uid, EdgeOptions(slug, options.post_only, options.filters))
        return slug
    raise _taken()


@contextmanager
def slug_errors() -> Iterator[None]:
    """Around what stores a slug.

    Raises:
        FieldError: another heartbeat of the workspace has it.
    """
    try:
        yield
    except IntegrityError as error:
        if CONSTRAINT in str(error):
            raise _taken() from error
        raise


def filters_text(filters: Mapping[str, Any] | None) -> str:
    """Filters as the edge has them (`core.contracts.ping_filters`)."""
    return json.dumps(filters, sort_keys=True) if filters else ""


def _taken() -> FieldError:
    return FieldError(SLUG, "unique", "is the slug of another heartbeat")

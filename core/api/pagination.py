"""Pages of lists, newest first, by opaque cursors.

A cursor holds the key of the row at the edge of a page, so pages stay right while rows come and go, and page 1,000 costs what page
1 costs. The key of a list is unique: a time, and an id where times may be equal.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, override
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.problems import FieldError

if TYPE_CHECKING:  # the settings of REST framework name this module, so its views cannot be imported here
    from rest_framework.views import APIView

PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 100
YEARS: Final = range(2000, 3000)
"""A cursor with another year is not ours, and arithmetic with it may leave the calendar."""
PARAMETERS: Final = frozenset({"cursor", "page_size"})
WINDOWS: Final = (timedelta(days=1), timedelta(days=8), timedelta(days=100))


@dataclass(frozen=True, slots=True)
class Key:
    """One column that a list is ordered by, and how its value is read back from a cursor (ValueError when it cannot be)."""

    column: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after (`backward`: before) the row with this key."""

    backward: bool
    values: tuple[Any, ...]


def read_time(text: str) -> datetime:
    """A time as a cursor holds it."""
    value = parse_datetime(text)
    if value is None or value.tzinfo is None or value.year not in YEARS:
        raise ValueError(text)
    return value.astimezone(UTC)


def read_number(text: str) -> int:
    """An id as a cursor holds it; one that PostgreSQL's bigint holds."""
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(text)
    return value


class NewestFirst[M: Model](BasePagination):
    """Ordered by the `keyset` of the view, descending."""

    @override
    def paginate_queryset(  # type: ignore[override]  # lists here are querysets of models, never plain sequences
        self, queryset: QuerySet[M], request: Request, view: APIView | None = None
    ) -> list[M]:
        self._request = request
        self._keyset: Sequence[Key] = view.keyset  # type: ignore[union-attr]  # every list view has one
        self._cursor = self._read_cursor(request.query_params.get("cursor"))
        size = self._read_page_size(request.query_params.get("page_size"))
        backward = self._cursor is not None and self._cursor.backward
        rows = self.fetch(queryset, self._cursor, size + 1)
        self._more = len(rows) > size
        self._page = rows[:size][::-1] if backward else rows[:size]
        return self._page

    def fetch(self, queryset: QuerySet[M], cursor: Cursor | None, limit: int) -> list[M]:
        """At most `limit` rows beyond the cursor, nearest first."""
        backward = cursor is not None and cursor.backward
        columns = [key.column if backward else f"-{key.column}" for key in self._keyset]
        return list(self._beyond(queryset, cursor).order_by(*columns)[:limit])

    def _beyond(self, queryset: QuerySet[M], cursor: Cursor | None) -> QuerySet[M]:
        """Rows past the cursor. The condition on the first column alone is what the index serves."""
        if cursor is None:
            return queryset
        beyond = "gt" if cursor.backward else "lt"
        first, *rest = zip((key.column for key in self._keyset), cursor.values, strict=True)
        if not rest:
            return queryset.filter(**{f"{first[0]}__{beyond}": first[1]})
        [(column, value)] = rest
        tie = Q(**{first[0]: first[1], f"{column}__{beyond}": value})
        return queryset.filter(Q(**{f"{first[0]}__{beyond}e": first[1]}), Q(**{f"{first[0]}__{beyond}": first[1]}) | tie)

    @override
    def get_paginated_response(self, data: Any) -> Response:
        backward = self._cursor is not None and self._cursor.backward
        has_next = bool(self._page) and (self._more or backward)
        has_previous = bool(self._page) and (self._more if backward else self._cursor is not None)
        return Response(
            {
                "results": data,
                "next": self._link(self._page[-1], backward=False) if has_next else None,
                "previous": self._link(self._page[0], backward=True) if has_previous else None,
            }
        )

    @override
    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    @override
    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        cursor = {"type": "string", "description": "From `next` or `previous` of an answer."}
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}
        return [
            {"name": "cursor", "in": "query", "required": False, "schema": cursor},
            {"name": "page_size", "in": "query", "required": False, "schema": size},
        ]

    def _link(self, row: M, *, backward: bool) -> str:
        values = [getattr(row, key.column) for key in self._keyset]
        text = json.dumps([backward, *(v.isoformat() if isinstance(v, datetime) else str(v) for v in values)])
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        query = self._request.query_params.dict() | {"cursor": cursor}
        return f"{settings.PUBLIC_URL}{self._request.path}?{urlencode(query)}"

    def _read_cursor(self, raw: str | None) -> Cursor | None:
        if not raw:
            return None
        try:
            backward, *texts = json.loads(base64.b64decode(raw + "=" * (-len(raw) % 4), altchars=b"-_", validate=True))
            values = tuple(key.read(text) for key, text in zip(self._keyset, texts, strict=True))
        except (binascii.Error, ValueError, TypeError, RecursionError):
            raise FieldError("cursor", "invalid", "is not a cursor of this list") from None
        return Cursor(bool(backward), values)

    @staticmethod
    def _read_page_size(raw: str | None) -> int:
        if raw is None:
            return PAGE_SIZE
        if not (raw.isascii() and raw.isdigit() and 1 <= int(raw[:9]) <= MAX_PAGE_SIZE):
            raise FieldError("page_size", "invalid", f"must be a number from 1 to {MAX_PAGE_SIZE}")
        return int(raw)


class InOrder[M: Model](NewestFirst[M]):
    """Ordered by the `keyset` of the view, ascending."""

    @override
    def fetch(self, queryset: QuerySet[M], cursor: Cursor | None, limit: int) -> list[M]:
        backward = cursor is not None and cursor.backward
        columns = [f"-{key.column}" if backward else key.column for key in self._keyset]
        turned = cursor and Cursor(not cursor.backward, cursor.values)
        return list(self._beyond(queryset, turned).order_by(*columns)[:limit])


class NewestFirstByDay[M: Model](NewestFirst[M]):
    """For tables partitioned by day on the first key: looks at the days next to the cursor, at more if these hold too little."""

    @override
    def fetch(self, queryset: QuerySet[M], cursor: Cursor | None, limit: int) -> list[M]:
        column = self._keyset[0].column
        edge = cursor.values[0] if cursor else timezone.now()
        backward = cursor is not None and cursor.backward
        for window in WINDOWS:
            bound = {f"{column}__lte": edge + window} if backward else {f"{column}__gte": edge - window}
            rows = super().fetch(queryset.filter(**bound), cursor, limit)
            if len(rows) == limit:
                return rows
        return super().fetch(queryset, cursor, limit)

"""What comes in: JSON and nothing else, bounded in size and depth."""

import io
from collections.abc import Iterable, Mapping
from typing import IO, Any, override

from django.conf import settings
from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from core.api import problem_types
from core.api.problems import Problem


class JsonBody(JSONParser):
    """DRF's JSON parser reads the stream itself, past Django's own limit on bodies, and dies of deep nesting."""

    @override
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        try:
            body = stream.read(limit + 1)
        except UnreadablePostError:
            raise ParseError("The body ended before it was complete.") from None
        if len(body) > limit:
            raise Problem(problem_types.TOO_LARGE, problem_types.TOO_LARGE.meaning)
        try:
            return super().parse(io.BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None


class AlwaysJson(BaseContentNegotiation):
    """JSON whatever `Accept` says: a wrong header should not hide the answer, nor the error."""

    @override
    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        media_type = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    @override
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        [renderer] = renderers
        return renderer, str(renderer.media_type)

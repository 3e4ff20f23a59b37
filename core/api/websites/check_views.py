"""Checks that somebody waits for."""

from typing import Any
from uuid import UUID

import msgspec
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import access_of
from core.api.monitors.models import Monitor
from core.api.throttling import CheckThrottle
from core.api.websites import checks, selectors
from core.api.websites.check_serializers import CheckReportAnswer, PendingCheckAnswer
from core.contracts.check_reports import CheckReport

RESPONSES: dict[int, Any] = {
    200: CheckReportAnswer,
    202: OpenApiResponse(PendingCheckAnswer, "It takes longer; `Location` and `url` say where its report will be."),
}


@extend_schema(tags=["websites"])
class CheckView(APIView):
    """Checks out of turn."""

    throttle_classes = (CheckThrottle,)

    @extend_schema(operation_id="websites_check", request=None, responses=RESPONSES)
    def post(self, request: Request, id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """Check at once, out of turn, and answer with the result: for as long as the check may take, and a few seconds more.

        The check counts like any other. One that is under way at this moment is waited for in place of another.
        """
        monitor = _website(request, id)
        check_id, report = checks.website_check(monitor=monitor)
        return _answer(request, check_id, report)


@extend_schema(tags=["websites"])
class CheckReportView(APIView):
    """The report of a check that took longer."""

    @extend_schema(operation_id="websites_check_report", responses=RESPONSES)
    def get(self, request: Request, id: UUID, check_id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """The result of a check that was asked for within the last ten minutes."""
        return _answer(request, check_id, checks.check_find(monitor=_website(request, id), check_id=check_id))


def _website(request: Request, website_id: UUID) -> Monitor:
    return get_object_or_404(selectors.website_list(workspace=access_of(request).workspace), uid=website_id)


def _answer(request: Request, check_id: UUID, report: CheckReport | None) -> Response:
    if report is not None:
        return Response(msgspec.to_builtins(report))
    url = f"{request.path.partition('/check')[0]}/checks/{check_id}/"
    headers = {"Location": url, "Retry-After": "1"}
    return Response({"id": check_id, "url": url}, status=status.HTTP_202_ACCEPTED, headers=headers)

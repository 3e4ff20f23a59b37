"""Addresses under `/api/v1/websites/`."""

from django.urls import path

from core.api.throttling import CheckThrottle
from core.api.uptime.views import WebsiteUptimeView
from core.api.websites.check_views import CheckReportView, CheckView
from core.api.websites.ending_views import CertificateView, DomainView
from core.api.websites.views import ResultViews, WebsiteViews

urlpatterns = [
    path("", WebsiteViews.as_view({"get": "list", "post": "create"})),
    path("<uuid:id>/", WebsiteViews.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("<uuid:id>/pause/", WebsiteViews.as_view({"post": "pause"})),
    path("<uuid:id>/resume/", WebsiteViews.as_view({"post": "resume"})),
    path("<uuid:id>/mute/", WebsiteViews.as_view({"post": "mute", "delete": "unmute"})),
    path("<uuid:id>/check/", CheckView.as_view()),
    path("<uuid:id>/checks/<uuid:check_id>/", CheckReportView.as_view()),
    path("<uuid:id>/check-now/", WebsiteViews.as_view({"post": "check_now"}, throttle_classes=(CheckThrottle,))),
    path("<uuid:id>/certificate/", CertificateView.as_view()),
    path("<uuid:id>/domain/", DomainView.as_view()),
    path("<uuid:id>/uptime/", WebsiteUptimeView.as_view()),
    path("<uuid:id>/results/", ResultViews.as_view({"get": "list"})),
]

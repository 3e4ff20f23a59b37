"""Addresses under `/api/v1/heartbeats/`."""

from django.urls import path

from core.api.heartbeats.changes import ChangeViews
from core.api.heartbeats.statistics_views import StatisticsView
from core.api.heartbeats.views import HeartbeatViews, PingBodyByIdView, PingBodyView, PingViews, PreviewView
from core.api.uptime.views import HeartbeatUptimeView

urlpatterns = [
    path("", HeartbeatViews.as_view({"get": "list", "post": "create"})),
    path("preview/", PreviewView.as_view()),
    path("by-slug/<str:slug>/", HeartbeatViews.as_view({"get": "by_slug", "put": "put"})),
    path("<uuid:id>/", HeartbeatViews.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("<uuid:id>/pause/", HeartbeatViews.as_view({"post": "pause"})),
    path("<uuid:id>/resume/", HeartbeatViews.as_view({"post": "resume"})),
    path("<uuid:id>/mute/", HeartbeatViews.as_view({"post": "mute", "delete": "unmute"})),
    path("<uuid:id>/expected/", HeartbeatViews.as_view({"get": "expected"})),
    path("<uuid:id>/uptime/", HeartbeatUptimeView.as_view()),
    path("<uuid:id>/changes/", ChangeViews.as_view({"get": "list"})),
    path("<uuid:id>/pings/", PingViews.as_view({"get": "list"})),
    path("<uuid:id>/pings/<int:sequence>/body/", PingBodyView.as_view()),
    path("<uuid:id>/pings/<uuid:ping_id>/body/", PingBodyByIdView.as_view()),
    path("<uuid:id>/statistics/", StatisticsView.as_view()),
]

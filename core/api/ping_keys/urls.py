"""Addresses under `/api/v1/ping-key/`."""

from django.urls import path

from core.api.ping_keys.views import PingKeyReplaceView, PingKeyView

urlpatterns = [
    path("", PingKeyView.as_view()),
    path("replace/", PingKeyReplaceView.as_view()),
]

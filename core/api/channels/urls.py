"""Addresses under `/api/v1/channels/`."""

from django.urls import path

from core.api.channels.views import ChannelViews

urlpatterns = [
    path("", ChannelViews.as_view({"get": "list", "post": "create"})),
    path("<uuid:id>/", ChannelViews.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
    path("<uuid:id>/test/", ChannelViews.as_view({"post": "test"})),
    path("<uuid:id>/verify/", ChannelViews.as_view({"post": "verify"})),
    path("<uuid:id>/ask/", ChannelViews.as_view({"post": "ask"})),
    path("<uuid:id>/rotate-secret/", ChannelViews.as_view({"post": "rotate_secret", "delete": "forget_secret"})),
]

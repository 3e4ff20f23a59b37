"""Addresses under `/api/v1/maintenance-windows/`."""

from django.urls import path

from core.api.maintenance.views import WindowViews

urlpatterns = [
    path("", WindowViews.as_view({"get": "list", "post": "create"})),
    path("<uuid:id>/", WindowViews.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
]

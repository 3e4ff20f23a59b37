"""Addresses under `/api/v1/routes/`."""

from django.urls import path

from core.api.routes.views import RouteViews

urlpatterns = [
    path("", RouteViews.as_view({"get": "list", "post": "create"})),
    path("<uuid:id>/", RouteViews.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
]

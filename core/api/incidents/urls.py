"""Addresses under `/api/v1/` about incidents, alerts and deliveries."""

from django.urls import path

from core.api.incidents.views import AlertViews, DeliveryViews, IncidentViews

urlpatterns = [
    path("incidents/", IncidentViews.as_view({"get": "list"})),
    path("incidents/<uuid:id>/", IncidentViews.as_view({"get": "retrieve"})),
    path("incidents/<uuid:id>/acknowledge/", IncidentViews.as_view({"post": "acknowledge", "delete": "take_back"})),
    path("incidents/<uuid:id>/deliveries/", IncidentViews.as_view({"get": "deliveries"})),
    path("alerts/", AlertViews.as_view({"get": "list"})),
    path("alerts/<uuid:id>/", AlertViews.as_view({"get": "retrieve"})),
    path("deliveries/", DeliveryViews.as_view({"get": "list"})),
    path("deliveries/<uuid:id>/", DeliveryViews.as_view({"get": "retrieve"})),
]

"""Addresses under `/api/v1/` about incidents and deliveries."""

from django.urls import path

from core.api.incidents.views import DeliveryViews, IncidentViews

urlpatterns = [
    path("incidents/", IncidentViews.as_view({"get": "list"})),
    path("incidents/<uuid:id>/", IncidentViews.as_view({"get": "retrieve"})),
    path("deliveries/", DeliveryViews.as_view({"get": "list"})),
    path("deliveries/<uuid:id>/", DeliveryViews.as_view({"get": "retrieve"})),
]

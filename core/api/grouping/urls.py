"""Addresses under `/api/v1/alert-grouping/`."""

from django.urls import path

from core.api.grouping.views import GroupingView

urlpatterns = [path("", GroupingView.as_view())]

"""Addresses under `/api/v1/` about accounts."""

from django.urls import path

from core.api.accounts import views

urlpatterns = [
    path("auth/register/", views.RegisterView.as_view()),
    path("auth/login/", views.LoginView.as_view()),
    path("auth/refresh/", views.RefreshView.as_view()),
    path("me/", views.MeView.as_view()),
    path("api-keys/", views.ApiKeyViews.as_view({"get": "list", "post": "create"})),
    path("api-keys/<uuid:id>/", views.ApiKeyViews.as_view({"get": "retrieve", "delete": "destroy"})),
]

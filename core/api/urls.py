"""Every URL of the REST API."""

from django.urls import URLPattern, URLResolver, include, path

from core.api.channels import pages as channel_pages
from core.api.description import openapi
from core.api.health import views as health
from core.api.incidents import pages as incident_pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("core.api.accounts.urls")),
    path("api/v1/websites/", include("core.api.websites.urls")),
    path("api/v1/heartbeats/", include("core.api.heartbeats.urls")),
    path("api/v1/ping-key/", include("core.api.ping_keys.urls")),
    path("api/v1/maintenance-windows/", include("core.api.maintenance.urls")),
    path("api/v1/channels/", include("core.api.channels.urls")),
    path("api/v1/alert-grouping/", include("core.api.grouping.urls")),
    path("api/v1/routes/", include("core.api.routes.urls")),
    path("api/v1/", include("core.api.incidents.urls")),
    path("acknowledge/<str:token>/", incident_pages.acknowledge),
    path("unsubscribe/<str:token>/", channel_pages.unsubscribe),
    path("verify/<str:token>/", channel_pages.verify),
    path("api/schema/", openapi),
    path("health/", health.ready),
    path("health/live/", health.live),
    path("metrics/", health.metrics),
    path("problems/<str:code>/", health.problem_type),
]

handler400 = "core.api.problems.bad_request"
handler404 = "core.api.problems.not_found"
handler500 = "core.api.problems.server_error"

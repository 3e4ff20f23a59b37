"""Reads about websites."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from core.api.accounts.models import Workspace
from core.api.monitors.models import Certificate, CheckResult, Domain, Monitor, MonitorKind, Website


def website_list(*, workspace: Workspace) -> QuerySet[Monitor]:
    """The websites of a workspace with settings and state."""
    websites = Monitor.objects.select_related("website", "website_state")
    return websites.filter(workspace=workspace, kind=MonitorKind.WEBSITE)


def website_results(*, workspace: Workspace, website_id: UUID) -> QuerySet[CheckResult]:
    """The checks of a website.

    Raises:
        Http404: the workspace has no such website.
    """
    websites = Monitor.objects.only("id").filter(workspace=workspace, kind=MonitorKind.WEBSITE)
    return CheckResult.objects.filter(monitor_id=get_object_or_404(websites, uid=website_id).id)


def website_certificate(*, workspace: Workspace, website_id: UUID) -> Certificate:
    """The certificate that a website showed last.

    Raises:
        Http404: the workspace has no such website, or no check of it has read one.
    """
    certificates = Certificate.objects.filter(monitor__workspace=workspace, monitor__kind=MonitorKind.WEBSITE)
    return get_object_or_404(certificates, monitor__uid=website_id)


def website_domain(*, workspace: Workspace, website_id: UUID) -> tuple[str, Domain | None]:
    """The domain that a website watches, and what is known of it, if anything.

    Raises:
        Http404: the workspace has no such website, or it watches none.
    """
    watching = Website.objects.filter(monitor__workspace=workspace, domain__isnull=False)
    name = get_object_or_404(watching, monitor__uid=website_id).domain
    assert name, "it was asked for"
    return name, Domain.objects.filter(name=name).first()

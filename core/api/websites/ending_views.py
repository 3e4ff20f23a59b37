"""What ends: the certificate of a website, and the registration of its domain."""

from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import access_of
from core.api.websites import selectors
from core.api.websites.ending_serializers import CertificateAnswer, DomainAnswer, domain_answer


@extend_schema(tags=["websites"])
class CertificateView(APIView):
    """The certificate of a website."""

    @extend_schema(operation_id="websites_certificate", responses=CertificateAnswer)
    def get(self, request: Request, id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """The chain that the latest checks saw, also where they refused it. Not found where no check has read one."""
        certificate = selectors.website_certificate(workspace=access_of(request).workspace, website_id=id)
        return Response(CertificateAnswer(certificate).data)


@extend_schema(tags=["websites"])
class DomainView(APIView):
    """The domain of a website."""

    @extend_schema(operation_id="websites_domain", responses=DomainAnswer)
    def get(self, request: Request, id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """When the registration of the domain ends, as its registry said. Not found where `domain_expiry` is off."""
        name, domain = selectors.website_domain(workspace=access_of(request).workspace, website_id=id)
        return Response(domain_answer(name, domain, asking=settings.DOMAIN_EXPIRY))

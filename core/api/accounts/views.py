"""Register, log in, who am I, API keys."""

from typing import Any, ClassVar, override

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.accounts import selectors, serializers, services
from core.api.accounts.models import ApiKey, Membership
from core.api.auth import CHALLENGE, access_of
from core.api.pagination import Key, read_time
from core.api.permissions import IsPerson, MayUseWorkspace
from core.api.throttling import LoginThrottle, RegistrationThrottle
from core.api.views import WorkspaceViews, parsed, read_uuid


class AnonymousView(APIView):
    """Lets everybody in; a failed login is still a 401 with a challenge."""

    authentication_classes = ()
    permission_classes = ()

    @override
    def get_authenticate_header(self, request: Request) -> str:
        return CHALLENGE


@extend_schema(tags=["accounts"])
class RegisterView(AnonymousView):
    """Make an account with a workspace of its own."""

    throttle_classes = (RegistrationThrottle,)

    @extend_schema(request=serializers.RegisterRequest, responses={201: serializers.UserAnswer}, operation_id="register")
    def post(self, request: Request) -> Response:
        """Make an account with a workspace of its own."""
        user = services.user_register(**parsed(serializers.RegisterRequest, request))
        return Response(serializers.UserAnswer(user).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["accounts"])
class LoginView(AnonymousView):
    """Exchange credentials for tokens."""

    throttle_classes = (LoginThrottle,)

    @extend_schema(request=serializers.LoginRequest, responses=serializers.TokensAnswer, operation_id="login")
    def post(self, request: Request) -> Response:
        """Exchange credentials for tokens."""
        tokens = services.user_log_in(**parsed(serializers.LoginRequest, request))
        return Response(serializers.TokensAnswer(tokens).data)


@extend_schema(tags=["accounts"])
class RefreshView(AnonymousView):
    """Exchange a refresh token for an access token."""

    throttle_classes = (LoginThrottle,)

    @extend_schema(request=serializers.RefreshRequest, responses=serializers.AccessAnswer, operation_id="refresh")
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for an access token."""
        return Response({"access": services.token_refresh(**parsed(serializers.RefreshRequest, request))})


@extend_schema(tags=["accounts"])
class MeView(APIView):
    """Who the credentials belong to."""

    @extend_schema(responses=serializers.MeAnswer, operation_id="me")
    def get(self, request: Request) -> Response:
        """Who the credentials belong to, and the workspaces they open."""
        access = access_of(request)
        here = Membership(workspace=access.workspace, role=access.role)
        workspaces = list(selectors.membership_list(user=access.user)) if access.user else [here]
        return Response(serializers.MeAnswer({"user": access.user, "workspace": here, "workspaces": workspaces}).data)


@extend_schema(tags=["api keys"])
class ApiKeyViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, WorkspaceViews[ApiKey]):
    """Keys for programs. They are made, listed and deleted by people only."""

    permission_classes = (IsPerson, MayUseWorkspace)
    serializer_class = serializers.ApiKeyAnswer
    queryset = ApiKey.objects.none()
    keyset: ClassVar = (Key("created_at", read_time), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[ApiKey]:
        return selectors.api_key_list(workspace=self.workspace)

    @extend_schema(request=serializers.ApiKeyRequest, responses={201: serializers.NewApiKeyAnswer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Make a key. Its secret is in this answer and nowhere else."""
        wanted = parsed(serializers.ApiKeyRequest, request)
        key, secret = services.api_key_create(workspace=self.workspace, created_by=access_of(request).user, **wanted)
        answer = {**serializers.ApiKeyAnswer(key).data, "key": secret}
        return Response(answer, status=status.HTTP_201_CREATED)

"""Channels."""

from typing import Any, ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.channels import selectors, serializers, services
from core.api.channels.models import Channel
from core.api.channels.services import NewChannel
from core.api.filters import BooleanFilter
from core.api.pagination import Key, read_time
from core.api.views import WorkspaceViews, parsed, read_uuid
from core.contracts.channels.registry import KINDS


class ChannelFilters(filters.FilterSet):
    """Filters of the list of channels."""

    kind = filters.ChoiceFilter(choices=[(kind, kind) for kind in sorted(KINDS)])
    enabled = BooleanFilter(field_name="disabled_at", lookup_expr="isnull")


@extend_schema(tags=["channels"])
class ChannelViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[Channel]):
    """Where alerts of the workspace go: every alert to every enabled channel, unless a route says otherwise."""

    serializer_class = serializers.ChannelAnswer
    filterset_class = ChannelFilters
    queryset = Channel.objects.none()
    keyset: ClassVar = (Key("created_at", read_time), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[Channel]:
        return selectors.channel_list(workspace=self.workspace)

    @extend_schema(request=serializers.ChannelRequest, responses={201: serializers.NewChannelAnswer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Add a channel. A signing secret that was made for a webhook is in this answer and nowhere else."""
        values = parsed(serializers.ChannelRequest, request)
        return self.answer(
            services.channel_create(workspace=self.workspace, now=timezone.now(), **values),
            status.HTTP_201_CREATED,
        )

    @extend_schema(request=serializers.ChannelUpdate, responses=serializers.NewChannelAnswer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Change the name, replace the configuration, enable or disable."""
        channel = self.get_object()
        changes = parsed(serializers.ChannelUpdate, request, partial=True)
        return self.answer(services.channel_update(channel_id=channel.id, changes=changes, now=timezone.now()))

    def destroy(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Delete a channel and the history of its deliveries."""
        services.channel_delete(channel_id=self.get_object().id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: serializers.TestAnswer})
    def test(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Send a test message to this channel, on the way that every alert takes."""
        alert = services.channel_test(channel=self.get_object(), now=timezone.now())
        return Response(serializers.TestAnswer(alert).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=serializers.VerifyRequest, responses=serializers.ChannelAnswer)
    def verify(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Enter the code that was sent to a person's address; alerts go there from now on."""
        channel = self.get_object()
        found = services.channel_verify(channel_id=channel.id, **parsed(serializers.VerifyRequest, request))
        return Response(serializers.ChannelAnswer(found).data)

    @extend_schema(request=None, responses={202: serializers.TestAnswer})
    def ask(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Send link and code to the address once more."""
        question = services.channel_ask(channel_id=self.get_object().id, now=timezone.now())
        return Response(serializers.TestAnswer(question).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=serializers.NewChannelAnswer)
    def rotate_secret(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Make a new signing secret, which is in this answer and nowhere else. Messages carry the signature of the one before it too."""
        return self.answer(services.channel_rotate_secret(channel_id=self.get_object().id))

    @extend_schema(responses={204: None})
    def forget_secret(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """End the rotation: messages carry the signature of the newest secret alone."""
        services.channel_forget_secret(channel_id=self.get_object().id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @staticmethod
    def answer(new: NewChannel, status_code: int = status.HTTP_200_OK) -> Response:
        """A channel after a write."""
        shown = {**serializers.ChannelAnswer(new.channel).data, "secret": new.secret}
        return Response(shown, status=status_code)

"""The ping key of a workspace: shown, and replaced."""

from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction

from core.adapters.ping_names import PingKey
from core.api import edge
from core.api.accounts.models import Workspace


def ping_key_show(*, workspace: Workspace) -> None:
    """Make sure that the key is good at the edge before anybody sees it.

    Raises:
        Problem: the edge cannot be reached.
    """
    with edge.required():
        edge.ping_names().show(PingKey(workspace.ping_key, workspace.id))


def ping_key_replace(*, workspace: Workspace, grace: timedelta, now: datetime) -> Workspace:
    """Another key; the one until now is good for `grace` yet. Of keys that were replaced before, none is good any more.

    The new one is at the edge before the commit, the old one ends there after it: at no moment is there none. When the edge cannot be
    reached for the second, the old one goes on until `edge sync`, or the next attempt.

    Raises:
        Problem: the edge cannot be reached.
    """
    with transaction.atomic():
        locked = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        ending = {locked.ping_key, locked.replaced_ping_key} - {None}
        locked.replaced_ping_key, locked.replaced_ping_key_until = locked.ping_key, now + grace
        locked.ping_key = uuid4().hex
        locked.save(update_fields=["ping_key", "replaced_ping_key", "replaced_ping_key_until"])
        with edge.required():
            edge.ping_names().show(PingKey(locked.ping_key, locked.id))
    with edge.required():
        for key in ending:
            if key == locked.replaced_ping_key and grace:
                edge.ping_names().show(PingKey(str(key), locked.id, locked.replaced_ping_key_until))
            else:
                edge.ping_names().forget(str(key))
    return locked

"""Who uses the monitor: users, workspaces, memberships and API keys."""

from typing import ClassVar, Final, override
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Func, Value
from django.db.models.functions import Cast
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A time-ordered id (UUIDv7), so that new rows land at the end of their index."""
    return uuid7()


class UserManager(BaseUserManager["User"]):
    """Users are found by their e-mail address in any case."""

    @override
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person. `email` is stored in lower case."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True, default="")
    tier = models.CharField(max_length=20, default="free")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"

    class Meta:
        db_table = "account"


RANDOM_KEY: Final = Func(
    Cast(Func(function="gen_random_uuid", output_field=models.UUIDField()), models.TextField()),
    Value("-"),
    Value(""),
    function="replace",
    output_field=models.TextField(),
)
"""122 random bits as 32 hexadecimal digits."""


class Workspace(models.Model):
    """What belongs together and is seen by the same people.

    Whoever has `ping_key` may ping its heartbeats by name and create some; one that was replaced may be good for a while yet. Where a
    channel would get more than `group_after` messages about changes within `group_within_s`, they become one; 0 is never.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    members = models.ManyToManyField(User, through="Membership", related_name="workspaces")
    ping_key = models.CharField(max_length=64, unique=True, editable=False, db_default=RANDOM_KEY)
    replaced_ping_key = models.CharField(max_length=64, null=True, editable=False)
    replaced_ping_key_until = models.DateTimeField(null=True)
    group_after = models.SmallIntegerField(db_default=5)
    group_within_s = models.SmallIntegerField(db_default=60)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "workspace"


class Role(models.TextChoices):
    """What a member may do: owners manage members, editors change monitors, viewers look."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


class Membership(models.Model):
    """A user in a workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.OWNER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "membership"
        constraints: ClassVar = [models.UniqueConstraint(fields=["workspace", "user"], name="membership_once")]


class ApiKey(models.Model):
    """A key of a workspace: shown once, stored as a SHA-256 digest (the key has 256 random bits, so no slow hash is needed)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32, unique=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.EDITOR)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "api_key"

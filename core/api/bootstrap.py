"""What a new installation needs, for a process in which Django is set up."""

from django.core.management import call_command
from django.db import connection, transaction

from core.api.accounts.models import Membership, Role, User, Workspace

MIGRATION_LOCK = 0x75707469
"""Any number that nothing else in this database uses for an advisory lock."""


def run_migrations() -> None:
    """Bring the schema up to date. Several processes may call this at once: one migrates, the others wait for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            call_command("migrate", verbosity=0, interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def ensure_demo_user(email: str, password: str, name: str) -> tuple[User, Workspace]:
    """The user with this address and password, and the workspace they own; made if missing, with the password set anew."""
    with transaction.atomic():
        user = User.objects.filter(email=email.lower()).first() or User(email=email.lower(), name=name)
        if not user.check_password(password):
            user.set_password(password)
        user.save()
        membership = Membership.objects.select_related("workspace").filter(user=user, role=Role.OWNER).order_by("id").first()
        if membership is None:
            workspace = Workspace.objects.create(name=name)
            membership = Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    return user, membership.workspace

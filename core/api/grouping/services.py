"""When the alerts of a workspace are grouped."""

from core.api.accounts.models import Workspace


def grouping_update(*, workspace: Workspace, **wanted: int) -> Workspace:
    """Change what is wanted. It holds for alerts that are routed from now on; a group that is open goes on."""
    for name, value in wanted.items():
        setattr(workspace, name, value)
    if wanted:
        workspace.save(update_fields=list(wanted))
    return workspace

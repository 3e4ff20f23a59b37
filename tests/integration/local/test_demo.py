"""The demo tells what did not happen, too."""

from datetime import datetime
from pathlib import Path

from core.env import Env
from core.local import box, demo, home, secrets
from core.local.settings import BoxSettings
from tests.box import free_port_base


def test_a_demo_that_cannot_go_on_says_so_and_where_to_look(database_url: str, tmp_path: Path) -> None:
    settings = BoxSettings.from_env(
        Env({"UPTIME_HOME": str(tmp_path), "UPTIME_PORT_BASE": str(free_port_base()), "DATABASE_URL": database_url})
    )
    described = box.open_box(settings, secrets.create(tmp_path), home.locate(tmp_path))
    shown: list[tuple[datetime, float | None, str]] = []
    complaints: list[str] = []
    assert not demo.run(described, lambda *step: shown.append(step), complaints.append, only_if_empty=True)
    assert shown == []
    [complaint] = complaints
    assert "refused" in complaint
    assert "uptimemonitor logs" in complaint

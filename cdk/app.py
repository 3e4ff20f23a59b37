"""The estate: `cdk deploy --all -c env=prod -c domain=…`. Run by the CDK, see `cdk.json`."""

import os
import sys

from aws_cdk import App

from cdk.config import Config, ConfigError
from cdk.estate import build


def main() -> None:
    """Read the context, wire the stacks, synthesise."""
    app = App()
    try:
        config = Config.from_context(app.node.get_all_context(), os.environ)
    except ConfigError as error:
        sys.exit(str(error))
    build(app, config)
    app.synth()


if __name__ == "__main__":
    main()

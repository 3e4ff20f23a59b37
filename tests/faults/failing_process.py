"""`python -m tests.faults.failing_process MODULE …`: what `python -m MODULE …` is, with the steps of `tests.faults.failpoints` in it."""

import runpy
import sys

from tests.faults import failpoints


def main() -> None:
    """Become MODULE."""
    del sys.argv[0]
    module = sys.argv[0]
    with failpoints.wrapped(module):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""`python -m tests.faults.failing_box`: a box as the product's own supervisor runs it, some of its processes with deadly steps in them."""

from collections.abc import Mapping
from dataclasses import replace
from unittest.mock import patch

from core.local import box, supervise
from core.local.box import Box
from core.local.process import Spec
from tests.faults.failpoints import STEPS

_specs = box.specs
MODULES = {step.module for step in STEPS}


def specs(described: Box, inherited: Mapping[str, str]) -> list[Spec]:
    """Those of the box, but for how the processes with steps are started."""
    found = _specs(described, inherited)
    assert {module for spec in found if (module := _module(spec))} >= MODULES, "a box starts its processes in another way"
    return [_with_steps(spec) for spec in found]


def _module(spec: Spec) -> str | None:
    return spec.argv[2] if len(spec.argv) > 2 and spec.argv[1] == "-m" else None


def _with_steps(spec: Spec) -> Spec:
    if _module(spec) not in MODULES:
        return spec
    python, option, *module = spec.argv
    return replace(spec, argv=(python, option, "tests.faults.failing_process", *module))


if __name__ == "__main__":
    with patch.object(box, "specs", specs):
        supervise.main()

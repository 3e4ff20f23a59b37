"""The synthesised estate, made to fit into moto: what `lacks` names is taken out, and what referred to it gets a made-up value."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.deploy.lacks import KINDS, PARTS, WHOLES, Part
from tests.deploy.taught import LESSONS

REGION, ACCOUNT = "eu-west-1", "123456789012"
NOTHING = {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
"""What a stack has of which nothing is left: one without resources is refused."""


def fit(folder: Path) -> Counter[str]:
    """Fit the templates of an assembly in place; returns what was taken out, and how often: kinds, and `kind.property`."""
    removed: Counter[str] = Counter()
    for path in sorted(folder.glob("*.template.json")):
        template = json.loads(path.read_text(encoding="utf-8"))
        removed += fit_template(template)
        path.write_text(json.dumps(template), encoding="utf-8")
    return removed


def unknown(templates: Iterable[Mapping[str, Any]]) -> set[str]:
    """Kinds that moto would pass over in silence."""
    from moto.cloudformation.parsing import get_model_map  # noqa: PLC0415  (it loads all of moto)

    kinds = {one["Type"] for template in templates for one in template["Resources"].values()}
    return kinds - set(get_model_map()) - set(LESSONS) - {one["Type"] for one in NOTHING.values()}


def fit_template(template: dict[str, Any], *, but: Part | None = None) -> Counter[str]:
    """Fit one template in place, `but` leave one of the parts in; returns as `fit`."""
    resources: dict[str, dict[str, Any]] = template["Resources"]
    removed = Counter(_take_parts(resources.values(), [part for part in PARTS if part != but]))
    wholes = [whole for whole in WHOLES if whole != but]
    gone = {name: what for name, one in resources.items() if (what := _lacking(one, wholes))}
    removed.update(gone.values())
    for name, one in resources.items():
        if name not in gone and "DependsOn" in one:
            wanted = one["DependsOn"]
            one["DependsOn"] = [other for other in ([wanted] if isinstance(wanted, str) else wanted) if other not in gone]
    kinds = {name: resources[name]["Type"] for name in gone}
    template["Resources"] = {name: one for name, one in resources.items() if name not in gone} or NOTHING
    for part in ("Resources", "Outputs"):
        if part in template:
            template[part] = _without(template[part], kinds)
    return removed


def _take_parts(resources: Iterable[dict[str, Any]], parts: Iterable[Part]) -> Iterable[str]:
    wanted = list(parts)
    for one in resources:
        for kind, name in wanted:
            if one["Type"] == kind and one.get("Properties", {}).pop(name, None) is not None:
                yield f"{kind}.{name}"


def _lacking(resource: Mapping[str, Any], wholes: Iterable[Part]) -> str | None:
    """Why a resource is taken out, None where it stays."""
    kind = resource["Type"]
    if kind in KINDS:
        return str(kind)
    return next((f"{kind}.{name}" for lacking, name in wholes if kind == lacking and name in resource["Properties"]), None)


def _without(node: Any, gone: Mapping[str, str]) -> Any:
    """The node with made-up values for what refers to those that are gone."""
    if isinstance(node, list):
        return [_without(one, gone) for one in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"Ref": str(name)} if name in gone:
            return _made_up(gone[name], name, "Arn")
        case {"Fn::GetAtt": [str(name), str(attribute)]} if name in gone:
            return _made_up(gone[name], name, attribute)
    return {key: _without(value, gone) for key, value in node.items()}


def _made_up(kind: str, name: str, attribute: str) -> str:
    """An ARN, as most references are, or a name that can be one of a host; policies are parsed, so it must look like what it is for."""
    if not attribute.lower().endswith("arn"):
        return f"{name}-{attribute}".lower().replace(".", "-") + ".example"
    _, service, noun = kind.lower().split("::")
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{noun}/{name}"

"""Kubernetes' own JSON schemas of its objects, for kubeconform, from the version that the lab runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from lab.toolchain import KUBERNETES_VERSION, SOURCE

_REF = "#/definitions/"


def swagger() -> dict[str, Any]:
    """Return the API's description, as it lies in the Go module that the lab's API server is built from."""
    asked = subprocess.run(
        ["go", "mod", "download", "-json", "k8s.io/kubernetes"],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    module = json.loads(asked.stdout)
    assert module["Version"] == f"v{KUBERNETES_VERSION}"
    document = Path(module["Dir"]) / "api/openapi-spec/swagger.json"
    found: dict[str, Any] = json.loads(document.read_text())
    return found


def write(description: dict[str, Any], folder: Path) -> str:
    """Write a schema for each kind of object into the folder; return kubeconform's pattern of their names."""
    definitions = {name: _strict(name, body) for name, body in description["definitions"].items()}
    for name, body in description["definitions"].items():
        for kind in body.get("x-kubernetes-group-version-kind", []):
            group = f"{kind['group'].split('.')[0]}-" if kind["group"] else ""
            file = folder / f"{kind['kind'].lower()}-{group}{kind['version']}.json"
            used = {used: definitions[used] for used in _reached(name, definitions)}
            file.write_text(json.dumps({**definitions[name], "definitions": used}))
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def _strict(name: str, body: dict[str, Any]) -> dict[str, Any]:
    if name.endswith("IntOrString"):
        return {"type": ["string", "integer"]}
    if name.endswith("resource.Quantity"):
        return {"type": ["string", "number"]}
    # What the API server would drop silently is an error.
    return {**body, "additionalProperties": False} if "properties" in body else dict(body)


def _reached(name: str, definitions: dict[str, Any]) -> set[str]:
    """Return every definition that the named one refers to, by however many steps."""
    found: set[str] = set()
    left = [name]
    while left:
        text = json.dumps(definitions[left.pop()])
        news = {part.partition('"')[0] for part in text.split(f'"{_REF}')[1:]} - found
        found |= news
        left += news
    return found

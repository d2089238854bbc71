"""The charts' values.schema.json, made from one source; run as a program, this writes them anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.places import checkout

CHARTS = checkout() / "helm/charts"
SERVICES = (
    "api",
    "auth-service",
    "collection-service",
    "marketplace-service",
    "user-service",
    "vision-service",
)
STORES = ("ferretdb", "valkey")
LIBRARY = "service-library"


def schema(chart: str, charts: Path = CHARTS) -> dict[str, Any]:
    """Return a chart's schema: of the source, exactly what the chart's values have, and nothing else."""
    source = yaml.safe_load((charts / "values.schema.yaml").read_text())
    values = _values(charts / chart)
    made: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"Values of the chart {chart}",
        **_narrowed({"type": "object", "properties": source["properties"]}, values, source["definitions"]),
    }
    # What Helm itself puts there: the library's own values, which are imported already.
    anything = {"type": "object"}
    made["properties"] |= {"global": anything, LIBRARY: _closed({"exports": anything, "global": anything})}
    if "environment" in values:
        made["if"] = {"properties": {"environment": {"const": "production"}}, "required": ["environment"]}
        made["then"] = {"properties": source["production"]}
    return made


def _values(chart: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((chart / "values.yaml").read_text())
    shared: dict[str, Any] = {}
    if "import-values" in (chart / "Chart.yaml").read_text():
        shared = yaml.safe_load((chart.parent / LIBRARY / "values.yaml").read_text())["exports"]["defaults"]
    return _merged(shared, values)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        found = result.get(key)
        result[key] = _merged(found, value) if isinstance(found, dict) and isinstance(value, dict) else value
    return result


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def _narrowed(node: Any, values: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema without references, whose objects allow the keys that are in the values.

    With no values to go by (an item of a list) an object keeps all its keys.
    """
    if isinstance(node, list):
        return [_narrowed(item, None, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _narrowed(definitions[node["$ref"].rpartition("/")[2]], values, definitions)
    kept = {"properties", "if", "then"}
    made = {key: below if key in kept else _narrowed(below, None, definitions) for key, below in node.items()}
    if node.get("type") == "object" and "properties" in node:
        known = node["properties"]
        wanted = known if values is None else values
        unknown = wanted.keys() - known.keys()
        if unknown:
            raise KeyError(f"values.schema.yaml does not know {sorted(unknown)}")
        made |= _closed(
            {key: _narrowed(known[key], values and values[key], definitions) for key in sorted(wanted)}
        )
    return made


def text(chart: str) -> str:
    """Return the file's text: a line per value, so that a difference can be read."""
    made = schema(chart)
    lines = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in made.pop("properties").items()]
    head = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in made.items()]
    return "{\n" + ",\n".join([*head, '  "properties": {\n' + ",\n".join(lines) + "\n  }"]) + "\n}\n"


if __name__ == "__main__":
    for name in (*SERVICES, *STORES):
        (CHARTS / name / "values.schema.json").write_text(text(name))

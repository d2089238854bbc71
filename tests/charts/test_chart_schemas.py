"""Values: what the schemas refuse, and that they are in step with the values of the charts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chart_schemas import CHARTS, LIBRARY, SERVICES, STORES, _values, schema, text
from rendered import DIGEST, PINNED, Sabotage, values_file

from clients.helm import Helm
from core.errors import SettingsError

# What Helm itself puts there, or hands down to a library.
HELMS_OWN = {"global", LIBRARY}


def refusal(helm: Helm, chart: str, environment: str, values: Mapping[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        helm.render_check(
            chart, CHARTS / chart, values_files=[values_file(chart, environment)], values=dict(values)
        )
    return str(caught.value)


@pytest.mark.parametrize("chart", [*SERVICES, *STORES])
def test_schema_is_in_step_with_source_and_values(chart: str) -> None:
    """Each values.schema.json is what `python tests/charts/chart_schemas.py` writes."""
    assert (CHARTS / chart / "values.schema.json").read_text() == text(chart)


def test_schema_follows_its_source(tmp_path: Path) -> None:
    """A changed bound or a new value makes the written file one that is not in step."""
    for name in ("values.schema.yaml", "api", LIBRARY):
        (tmp_path / name).symlink_to(CHARTS / name)
    assert schema("api", tmp_path) == schema("api")
    (tmp_path / "values.schema.yaml").unlink()
    source = (CHARTS / "values.schema.yaml").read_text()
    assert source.count("maximum: 65535") == 1
    (tmp_path / "values.schema.yaml").write_text(source.replace("maximum: 65535", "maximum: 65536"))
    assert schema("api", tmp_path) != schema("api")


def test_a_value_without_a_schema_is_an_error(tmp_path: Path) -> None:
    """What a chart's values have and the source does not know cannot go unchecked."""
    for name in ("values.schema.yaml", LIBRARY):
        (tmp_path / name).symlink_to(CHARTS / name)
    (tmp_path / "api").mkdir()
    (tmp_path / "api/Chart.yaml").write_text("name: api\n")
    (tmp_path / "api/values.yaml").write_text("service: {prot: 3000}\n")
    with pytest.raises(KeyError, match="prot"):
        schema("api", tmp_path)


def loose(node: Any, path: str = "") -> Iterator[str]:
    """Yield the objects that would accept a key nobody declared."""
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from loose(item, f"{path}/{place}")
    if not isinstance(node, Mapping):
        return
    if node.get("type") == "object" and not ({"additionalProperties"} & node.keys()):
        yield path
    for key, below in node.items():
        if not (path == "/properties" and key in HELMS_OWN):
            yield from loose(below, f"{path}/{key}")


@pytest.mark.parametrize("chart", [*SERVICES, *STORES])
def test_no_level_of_a_schema_is_open(chart: str) -> None:
    """Every object lists its keys, or says what its free keys and their values look like."""
    made = schema(chart)
    assert list(loose(made)) == []
    del made["properties"]["image"]["additionalProperties"]
    assert list(loose(made)) == ["/properties/image"]


def levels(
    values: Mapping[str, Any], made: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield the way to each object of the values that has a fixed set of keys."""
    yield path
    for key, value in values.items():
        if isinstance(value, Mapping) and made["properties"][key]["additionalProperties"] is False:
            yield from levels(value, made["properties"][key], (*path, key))


@pytest.mark.parametrize("chart", [*SERVICES, *STORES])
def test_a_wrong_key_is_refused_by_name_at_every_level(helm: Helm, chart: str) -> None:
    """One wrong key per object: Helm names each of them."""
    wrong: dict[str, Any] = {}
    names = []
    for path in levels(_values(CHARTS / chart), schema(chart)):
        place = wrong
        for key in path:
            place = place.setdefault(key, {})
        names.append("wrong" + "".join(path))
        place[names[-1]] = 1
    assert len(names) >= 5
    said = refusal(helm, chart, "lab", wrong)
    assert [name for name in names if f"'{name}'" not in said] == []


@pytest.mark.parametrize(
    ("chart", "values", "named"),
    [
        ("api", {"image": {"tag": "latest"}}, "image/tag"),
        ("api", {"image": {"tag": "Latest"}}, "image/tag"),
        ("api", {"image": {"repository": "docker.io/ecochain/api:latest"}}, "image/repository"),
        ("api", {"image": {"repository": "docker.io/ecochain/api@sha256:0"}}, "image/repository"),
        ("api", {"image": {"digest": "sha256:short"}}, "image/digest"),
        ("api", {"mongodb": {"enabled": True}}, "mongodb"),
        ("api", {"jwt": {"existingSecret": "auth-jwt"}}, "jwt"),
        ("user-service", {"jwt": {"existingSecret": "auth-jwt"}}, "jwt"),
        ("user-service", {"replicaCount": "two"}, "replicaCount"),
        ("user-service", {"redis": {"host": ""}}, "redis/host"),
        ("user-service", {"redis": {"password": "in the open"}}, "password"),
        ("user-service", {"mongodb": {"uri": "mongodb://in the open"}}, "uri"),
        ("user-service", {"upstreams": {"AUTH_URL": "http://u:in the open@auth-service:3000"}}, "AUTH_URL"),
        ("user-service", {"upstreams": {"AUTH": "http://auth-service:3000"}}, "'AUTH'"),
        ("user-service", {"serviceEnvironment": {"MONGODB_URI": "in the open"}}, "MONGODB_URI"),
        ("user-service", {"serviceEnvironment": {"DB_PASSWORD": "in the open"}}, "DB_PASSWORD"),
        ("user-service", {"serviceEnvironment": {"DB": "x://u:in the open@host"}}, "serviceEnvironment/DB"),
        ("user-service", {"tolerationSeconds": 300}, "tolerationSeconds"),
        ("user-service", {"tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]}, "tolerations/0"),
        ("user-service", {"resources": {"limits": {"memory": "1G"}}}, "resources/limits/memory"),
        ("user-service", {"vault": {"token": "in the open"}}, "token"),
        ("user-service", {"networkPolicy": {"toCidrs": [{"cidr": "10.0.0.0/8"}]}}, "networkPolicy/toCidrs/0"),
        ("user-service", {"service-library": {"replicaCount": 3}}, "replicaCount"),
        ("auth-service", {"jwt": {"variable": "PATH"}}, "jwt"),
        ("valkey", {"password": {"value": "in the open"}}, "password"),
        ("valkey", {"memory": {"policy": "random"}}, "memory/policy"),
        ("ferretdb", {"storage": {"size": "1 GB"}}, "storage/size"),
    ],
)
def test_wrong_values_are_named(helm: Helm, chart: str, values: dict[str, Any], named: str) -> None:
    """A wrong value is refused with its place, on one line, and a credential is not repeated."""
    said = refusal(
        helm, chart, "lab", {**PINNED, **values, "image": {**PINNED["image"], **values.get("image", {})}}
    )
    assert named in said
    assert "\n" not in said
    assert "in the open" not in said or "does not match pattern" in said


@pytest.mark.parametrize("chart", SERVICES)
def test_production_refuses_what_is_not_pinned(helm: Helm, chart: str) -> None:
    """Neither without a digest, nor on one replica, nor without a drain or a NetworkPolicy."""
    assert "image/digest" in refusal(helm, chart, "production", {})
    unsafe = {"replicaCount": 1, "drain": {"seconds": 0}, "networkPolicy": {"enabled": False}}
    said = refusal(helm, chart, "production", {**PINNED, **unsafe})
    assert [
        place for place in ("replicaCount", "drain/seconds", "networkPolicy/enabled") if place not in said
    ] == []


@pytest.mark.parametrize("chart", STORES)
def test_a_store_without_a_digest_does_not_render(helm: Helm, chart: str) -> None:
    """Its image is pinned everywhere."""
    assert "image.digest" in refusal(helm, chart, "lab", {})


def test_without_the_schema_production_would_take_any_image(helm: Helm, tmp_path: Path) -> None:
    """The refusal is the schema's: with its production part gone, an unpinned image renders."""
    file = "charts/api/values.schema.json"
    made = json.loads((CHARTS / "api/values.schema.json").read_text())
    gone = f'  "then": {json.dumps(made["then"])},\n'
    found = Sabotage(chart="api", file=file, old=gone, new="", environment="production")
    rendered = found.rendered(helm, tmp_path, image={"digest": ""})
    assert rendered.container["image"] == "docker.io/ecochain/api:1.0.0"
    assert DIGEST not in rendered.text

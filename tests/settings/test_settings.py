"""Settings: the committed files are good, and every mistake is one error with file, key, expected and got."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import SettingsError
from core.places import checkout
from fixtures.settings import Settings, load_settings
from fixtures.settings_model import SCHEMA_FILE, schema
from slas.expectations import UNITS

GOOD = """
[environment]
name = "here"
provider = "lab"
chaos_allowed = true
resolution_ms = 100

[releases.auth-service]
chart = "chart"
values = ["values.yaml"]
rehearsed = true
deploy_timeout_s = 60
failing_timeout_s = 20
rollback_timeout_s = 60

[slas.downtime]
allowed = 0
unit = "s"

[slas.downtime.scenarios.pod-kill]
allowed = 2.5

[slas.error_ratio]
allowed = 0.01
unit = "ratio"

[slas.rollback]
allowed = 1
unit = "bool"
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: chart\n")
    (tmp_path / "values.yaml").write_text("{}\n")
    (tmp_path / "environments").mkdir()
    return tmp_path


def load(base: Path, text: str | bytes, **options: object) -> Settings:
    data = text if isinstance(text, bytes) else text.encode()
    (base / "environments" / "here.toml").write_bytes(data)
    return load_settings("here", base / "environments", base=base, **{"environ": {}, **options})  # type: ignore[arg-type]


def test_good_file_gives_bounds_by_scenario(base: Path) -> None:
    """An override holds in its scenario and the plain bound everywhere else."""
    settings = load(base, GOOD)
    assert settings.allowed("downtime", "pod-kill") == 2.5
    assert settings.allowed("downtime", "rolling-upgrade") == 0
    assert settings.resolution_s == 0.1
    assert settings.release("auth-service").probe_path == "/health"
    assert settings.environment.namespace == "ecochain"


def test_settings_cannot_be_changed(base: Path) -> None:
    """What was checked stays what was checked."""
    settings = load(base, GOOD)
    with pytest.raises(ValidationError, match="frozen"):
        settings.environment.chaos_allowed = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "key", "expected", "got"),
    [
        ('unit = "ratio"', 'unit = "%"', "slas.error_ratio.unit", "'ratio'", "%"),
        ('allowed = 0\nunit = "s"', 'allowed = 0\nunit = "ms"', "slas.downtime.unit", "'s'", "ms"),
        ("allowed = 0\n", "allowed = -1\n", "slas.downtime.allowed", "≥ 0", -1.0),
        ("allowed = 2.5", "allowed = -2.5", "slas.downtime.scenarios.pod-kill.allowed", "≥ 0", -2.5),
        ("allowed = 0.01", "allowed = 1.5", "slas.error_ratio.allowed", "0 to 1", 1.5),
        ("allowed = 0.01", "allowed = nan", "slas.error_ratio.allowed", "finite number", None),
        ("allowed = 0.01", 'allowed = "1 %"', "slas.error_ratio.allowed", "number", "1 %"),
        ("allowed = 1\n", "allowed = 0\n", "slas.rollback.allowed", "must hold", 0.0),
        ("allowed = 2.5", "allowd = 2.5", "slas.downtime.scenarios.pod-kill.allowd", "allowed", "allowd"),
        ("[slas.error_ratio]", "[slas.eror_ratio]", "slas", "error_ratio", "eror_ratio"),
        ("resolution_ms = 100", "resolution = 100", "environment.resolution", "resolution_ms", "resolution"),
        ("resolution_ms = 100", "", "environment.resolution_ms", "coarsest probe resolution", "nothing"),
        ("resolution_ms = 100", "resolution_ms = 0", "environment.resolution_ms", "greater than 0", 0),
        ("chaos_allowed = true", 'chaos_allowed = "yes"', "environment.chaos_allowed", "boolean", "yes"),
        ('provider = "lab"', 'provider = "kind"', "environment.provider", "'lab' or 'kubeconfig'", "kind"),
        ('name = "here"', 'name = "there"', "environment.name", "'here'", "there"),
        ("[environment]", "[lab]\nnodes = 0\n[environment]", "lab.nodes", "greater than or equal to 1", 0),
        (
            "[environment]",
            '[lab]\nsubnet = "8.8.0.0/16"\n[environment]',
            "lab.subnet",
            "private",
            "8.8.0.0/16",
        ),
        ("[environment]", '[lab]\nsubnet = "ten"\n[environment]', "lab.subnet", "private", "ten"),
        ("[environment]", "[prbes]\nrate = 1\n[environment]", "prbes", "probes", "prbes"),
        ("[environment]", "[probes]\nraet = 1\n[environment]", "probes.raet", "rate, slow_ms", "raet"),
        ('chart = "chart"', 'chart = "chrat"', "releases.auth-service.chart", "Chart.yaml", "chrat"),
        ("values.yaml", "valeus.yaml", "releases.auth-service.values", "a file", "valeus.yaml"),
        (
            'chart = "chart"',
            "probe_pth = 3",
            "releases.auth-service.probe_pth",
            "url, probe_path",
            "probe_pth",
        ),
        (
            "[slas.downtime]",
            "[releases.auth-service.images]\nbda = 1\n[slas.downtime]",
            "releases.auth-service.images.bda",
            "current, upgrade, bad",
            "bda",
        ),
        ("failing_timeout_s = 20", "", "releases.auth-service.failing_timeout_s", "Helm waits", "nothing"),
        (
            "[slas.downtime]",
            f'[releases.auth-service.images]\ncurrent = "a@sha256:{"0" * 64}"\n[slas.downtime]',
            "releases.auth-service.images",
            "since it is rehearsed",
            "not all of them",
        ),
        (
            "[slas.downtime]",
            '[stores.mongodb]\nchart = "chrat"\ndeploy_timeout_s = 9\n[slas.downtime]',
            "stores.mongodb.chart",
            "Chart.yaml",
            "chrat",
        ),
        (
            "[slas.downtime]",
            '[load]\nfront_door = "aip"\n[slas.downtime]',
            "load.front_door",
            "one of auth-service",
            "aip",
        ),
        ("[environment]", "[environment", "line 2", "valid TOML", None),
    ],
)
def test_a_mistake_is_one_error_with_file_key_expected_and_got(
    base: Path, *, old: str, new: str, key: str, expected: str, got: object
) -> None:
    """Each kind of mistake names the key that is wrong, what belongs there and what was found."""
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        load(base, GOOD.replace(old, new, 1))
    error = caught.value
    assert error.file.endswith("environments/here.toml")
    assert error.key == key or error.key.startswith(f"{key},")
    assert expected in error.expected
    if got is not None:
        assert str(error.got) == str(got) or repr(error.got) == got
    assert "\n" not in str(error)
    assert error.exit_code == 2


def test_bytes_that_are_no_text_are_one_error(base: Path) -> None:
    """A file that is not UTF-8 is refused like any other mistake."""
    with pytest.raises(SettingsError, match="UTF-8"):
        load(base, b"\xff\xfe")


@pytest.mark.parametrize("name", ["nowhere", "../environments/here", "", "here.toml"])
def test_unknown_environment_lists_those_known(base: Path, name: str) -> None:
    """A name that is no file's stem is refused with the names that are."""
    load(base, GOOD)
    with pytest.raises(SettingsError) as caught:
        load_settings(name, base / "environments", base=base, environ={})
    assert caught.value.key == "--env"
    assert caught.value.expected == "one of here"
    assert caught.value.got == name


def test_an_sla_without_a_bound_is_an_error_and_not_a_pass(base: Path) -> None:
    """Asking for a bound that the environment does not state names the missing table."""
    with pytest.raises(SettingsError, match=r"environments/here\.toml: slas\.recovery_time: .* got nothing"):
        load(base, GOOD).allowed("recovery_time", "pod-kill")
    with pytest.raises(SettingsError, match="one of auth-service"):
        load(base, GOOD).release("user-service")


def test_a_scenario_disturbs_only_what_is_rehearsed(base: Path) -> None:
    """Asked for another release, it is refused by the key that would allow it."""
    assert load(base, GOOD).rehearsed("auth-service", "pod-kill").rehearsed
    kept = load(base, GOOD.replace("rehearsed = true\n", ""))
    with pytest.raises(SettingsError, match=r"releases\.auth-service\.rehearsed: expected true .*pod-kill"):
        kept.rehearsed("auth-service", "pod-kill")


FOREIGN = GOOD.replace('provider = "lab"', 'provider = "kubeconfig"')


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(base: Path) -> None:
    """The nearest statement of the kubeconfig and of the context holds, each for itself."""
    for name in ("file", "variable", "option"):
        (base / name).write_text("")
    stated = FOREIGN + f'\n[cluster]\nkubeconfig = "{base}/file"\ncontext = "of-file"\n'
    variables = {
        "ECOCHAIN_VERIFY_KUBECONFIG": f"{base}/variable",
        "ECOCHAIN_VERIFY_CONTEXT": "of-variable",
    }
    assert load(base, stated).cluster.kubeconfig == f"{base}/file"
    assert load(base, stated, environ=variables).cluster.context == "of-variable"
    chosen = load(base, stated, environ=variables, kubeconfig=f"{base}/option").cluster
    assert (chosen.kubeconfig, chosen.context) == (f"{base}/option", "of-variable")


def test_a_foreign_cluster_needs_a_kubeconfig_that_exists(base: Path) -> None:
    """No kubeconfig is ever guessed, and one that is not there is refused before anything is done."""
    with pytest.raises(SettingsError, match=r"cluster\.kubeconfig.*--kubeconfig.*got nothing"):
        load(base, FOREIGN)
    with pytest.raises(SettingsError, match=r"the path of a file, got '/nonexistent/kubeconfig'"):
        load(base, FOREIGN, kubeconfig="/nonexistent/kubeconfig")
    assert load(base, FOREIGN, cluster_needed=False).cluster.kubeconfig is None


def test_a_lab_is_never_pointed_at_a_foreign_cluster(base: Path) -> None:
    """The lab's permission for chaos does not follow a kubeconfig; a stray variable changes nothing."""
    with pytest.raises(SettingsError, match="--kubeconfig"):
        load(base, GOOD, kubeconfig="/nonexistent/kubeconfig")
    with pytest.raises(SettingsError, match="--context"):
        load(base, GOOD, context="production")
    stray = {"ECOCHAIN_VERIFY_KUBECONFIG": "/nonexistent/kubeconfig"}
    assert load(base, GOOD, environ=stray) == load(base, GOOD)


@pytest.mark.parametrize("name", sorted(path.stem for path in (checkout() / "environments").glob("*.toml")))
def test_committed_environments_load(name: str) -> None:
    """Each environment in the repository is valid, its charts exist, and its scenarios have bounds."""
    settings = load_settings(name, environ={}, cluster_needed=False)
    for sla in ("deploy_time", "downtime", "recovery_time", "error_ratio", "latency_p95", "rollback_time"):
        assert settings.allowed(sla, "any") <= settings.allowed(sla, "pod-kill") < 3600
    assert settings.allowed("rollback", "failed-release") == 1


def test_committed_bounds_are_those_of_the_source_document() -> None:
    """15 and 30 minutes bind staging and production, seconds bind the lab, and production allows no chaos."""
    loaded = {
        name: load_settings(name, environ={}, cluster_needed=False)
        for name in ("lab", "staging", "production")
    }
    assert loaded["staging"].allowed("deploy_time", "upgrade") == 900
    assert loaded["production"].allowed("deploy_time", "upgrade") == 1800
    assert loaded["lab"].allowed("deploy_time", "upgrade") <= 60
    assert not loaded["production"].environment.chaos_allowed
    assert {settings.allowed("downtime", "upgrade") for settings in loaded.values()} == {0}


def test_committed_schema_is_the_generated_one() -> None:
    """docs/schemas/settings.schema.json is what `python -m fixtures.settings_model` writes."""
    assert json.loads((checkout() / SCHEMA_FILE).read_text()) == schema()


def test_schema_fixes_the_unit_of_every_sla() -> None:
    """An editor that reads the schema refuses a wrong unit, and an SLA that does not exist."""
    slas = schema()["properties"]["slas"]
    assert slas["additionalProperties"] is False
    units = {name: sla["properties"]["unit"]["const"] for name, sla in slas["properties"].items()}
    assert units == dict(UNITS)

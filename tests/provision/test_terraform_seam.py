"""Terraform is found, told where its providers are, and given nothing of the user's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from clients.terraform import Program, Terraform, require_root
from clients.terraform_plugins import MIRROR_VARIABLE, cli_config
from clients.terraform_variables import check_variables
from core.errors import CommandError, RefusedError, SettingsError
from core.places import checkout

ROOT = checkout() / "terraform" / "environments" / "lab"
GOOD = {"run_id": "run-a"}


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def version_script(path: Path, version: str) -> Path:
    return script(path, f'echo \'{{"terraform_version": "{version}"}}\'')


def terraform(folder: Path, program: Path) -> Terraform:
    (folder / "work" / "environments" / "lab").mkdir(parents=True)
    return Terraform(
        program=Program(path=program, version=(1, 11, 4), registry="registry.terraform.io"),
        folder=folder,
        environment="lab",
        cli_config=None,
        credentials={"AWS_ACCESS_KEY_ID": "double"},
    )


def test_an_old_terraform_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version before 1.9 is refused with what was found and what is expected."""
    monkeypatch.setenv("ECOCHAIN_VERIFY_TERRAFORM", str(version_script(tmp_path / "terraform", "1.5.7")))
    with pytest.raises(RefusedError, match=r"is 1\.5\.7; expected version 1\.9 or later"):
        Program.find()


def test_a_missing_terraform_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is one clear line, not a traceback from the first use."""
    monkeypatch.delenv("ECOCHAIN_VERIFY_TERRAFORM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="neither terraform nor tofu is on PATH"):
        Program.find()


def test_opentofu_is_taken_when_there_is_no_terraform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTofu serves as well, with its own registry's providers."""
    version_script(tmp_path / "tofu", "1.12.6")
    monkeypatch.delenv("ECOCHAIN_VERIFY_TERRAFORM", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    found = Program.find()
    assert (found.path, found.version) == (tmp_path / "tofu", (1, 12, 6))
    assert found.registry == "registry.opentofu.org"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vpc_cidr": "10.0.0.0/8"}, r"vpc_cidr: expected an IPv4 range .*, got '10\.0\.0\.0/8'"),
        ({"kubernetes_version": "1.27"}, r"kubernetes_version: expected 1\.33 or later: .*, got '1\.27'"),
        ({"region": ["us-east-1"]}, r"region: expected string required, got \['us-east-1'\]"),
        ({"run_id": "Run_A"}, r"run_id: expected 3 to 32 lower-case .*, got 'Run_A'"),
        ({"vpc_cird": "10.0.0.0/16"}, r"vpc_cird: expected one of .*vpc_cidr.*, got '10\.0\.0\.0/16'"),
    ],
)
def test_a_bad_variable_is_one_line_with_what_was_expected(given: dict[str, object], message: str) -> None:
    """Terraform's own validation names file, variable, expected and got, without its provider."""
    with pytest.raises(SettingsError, match=message) as caught:
        check_variables(Program.find(), ROOT, {**GOOD, **given})
    assert "\n" not in str(caught.value)
    assert caught.value.file.endswith("terraform/environments/lab/variables.tf")


def test_good_variables_pass() -> None:
    """The defaults and a run id are enough."""
    check_variables(Program.find(), ROOT, GOOD)


def test_an_unknown_environment_is_refused() -> None:
    """An environment without a root module is refused with the folder that was looked in."""
    with pytest.raises(RefusedError, match="environments/nowhere: no Terraform configuration"):
        require_root(checkout() / "terraform", "nowhere")


def test_a_cli_configuration_that_exists_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own file wins over everything."""
    given = tmp_path / "given.rc"
    given.touch()
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(given))
    assert config(tmp_path) == given


def test_a_cli_configuration_that_does_not_exist_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that points nowhere does not keep the named mirror from being used."""
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "absent"))
    mirror = tmp_path / "mirror"
    (mirror / "registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    written = config(tmp_path)
    assert written == tmp_path / "terraform.rc"
    assert f'path = "{mirror}"' in written.read_text()


def test_a_named_mirror_without_the_provider_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong mirror is named now, not by a download that fails later."""
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    with pytest.raises(RefusedError, match=r"expected a folder registry\.terraform\.io/hashicorp/aws in it"):
        config(tmp_path)


def test_without_a_mirror_the_download_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no mirror downloads the provider once, not once a run."""
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("clients.terraform_plugins.USUAL_MIRRORS", ("~/none",))
    written = config(tmp_path)
    assert written is not None
    assert f'plugin_cache_dir = "{tmp_path / "cache"}"' in written.read_text()


def config(folder: Path) -> Path | None:
    return cli_config(
        folder / "terraform.rc",
        registry="registry.terraform.io",
        provider="hashicorp/aws",
        cache=folder / "cache",
    )


def test_the_users_credentials_and_settings_do_not_reach_terraform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the AWS and Terraform variables around, only the given credentials are passed on."""
    monkeypatch.setenv("AWS_PROFILE", "real-account")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-secret")
    monkeypatch.setenv("TF_CLI_ARGS", "-target=nothing")
    monkeypatch.setenv("TF_VAR_region", "eu-west-1")
    terraform(tmp_path, script(tmp_path / "terraform", "env")).init(timeout_s=10)
    seen = dict(line.split("=", 1) for line in (tmp_path / "init.out").read_text().splitlines())
    assert {"AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "TF_CLI_ARGS", "TF_VAR_region"}.isdisjoint(seen)
    assert seen["AWS_ACCESS_KEY_ID"] == "double"
    assert seen["TF_DATA_DIR"] == str(tmp_path / "data")


def test_a_late_terraform_is_interrupted_and_may_save_its_state(tmp_path: Path) -> None:
    """At a time-out Terraform gets one interrupt and the time to write down what it made."""
    body = "trap 'echo saved >terraform.saved; exit 1' INT\nwhile :; do sleep 0.05; done"
    with pytest.raises(CommandError, match=r"none within 0\.3 s"):
        terraform(tmp_path, script(tmp_path / "terraform", body)).init(timeout_s=0.3)
    assert (tmp_path / "work/environments/lab/terraform.saved").exists()


def test_outputs_are_those_of_the_state(tmp_path: Path) -> None:
    """They are read as they stand there, without a start of Terraform."""
    made = terraform(tmp_path, tmp_path / "absent")
    made.state_file.write_text('{"outputs": {"name": {"value": "eco", "type": "string"}}, "resources": []}')
    assert made.outputs() == {"name": "eco"}


def test_diagnostics_are_given_without_the_log_around_them(tmp_path: Path) -> None:
    """A failed apply says the resource and the reason, a line each."""
    body = (
        'echo \'{"type":"planned_change"}\'\n'
        'echo \'{"type":"diagnostic","diagnostic":{"severity":"error","address":"aws_s3_bucket.x",'
        '"summary":"creating bucket","detail":"it exists"}}\'\nexit 1'
    )
    with pytest.raises(CommandError) as caught:
        terraform(tmp_path, script(tmp_path / "terraform", body)).apply(timeout_s=10)
    assert str(caught.value).splitlines()[1:] == ["aws_s3_bucket.x creating bucket: it exists"]

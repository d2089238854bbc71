"""What must be refused before anything is made, and credentials that may be kept nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from account import ACCESS_KEY, NUMBER, REGION, SECRET_KEY, Account, place_of

from clients.secrets_scan import exposed
from core.errors import EnvironmentFailedError, RefusedError, SettingsError
from fixtures.provision_choice import Choice, provision_of
from fixtures.provision_outputs import require_no_secret
from fixtures.provision_place import AccountPlace
from fixtures.provisioning import Provision
from fixtures.settings import load_settings

pytestmark = pytest.mark.usefixtures("state_folder")


def provision(place: AccountPlace, state_folder: Path, **more: object) -> Provision:
    assert not (state_folder / "terraform" / "run-r").exists()
    return Provision(run_id="run-r", place=place, **more)  # type: ignore[arg-type]


def place(account: Account, **changes: object) -> AccountPlace:
    with account.proxy() as proxy:
        given = {**place_of(proxy), "endpoint_url": account.double.endpoint_url, **changes}
    return AccountPlace(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accounts": ["123456789012"]}, rf"AWS account {NUMBER}: not on the list .* \(123456789012\)"),
        ({"accounts": []}, r"not on the list of this environment \(none\)"),
        ({"region": "eu-west-9"}, rf"AWS region eu-west-9: not on the list .* \({REGION}\)"),
    ],
)
def test_an_account_or_region_that_is_not_on_the_list_is_refused(
    account: Account, state_folder: Path, changes: dict[str, object], message: str
) -> None:
    """The credentials of another account, or another region, end the run before anything is made."""
    refused = provision(place(account, **changes), state_folder)
    for attempt in (refused.check, refused.start, refused.apply):
        with pytest.raises(RefusedError, match=message):
            attempt()
    assert not refused.folder.exists()
    assert account.added() == []


def test_missing_credentials_are_one_clear_line(
    account: Account, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials nothing is tried."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RefusedError, match=r"AWS credentials: expected AWS_ACCESS_KEY_ID .*; found none"):
        provision(place(account), state_folder).apply()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"vpc_cidr": "10.0.0.0/8"}, "vpc_cidr: expected an IPv4 range"),
        ({"region": "nowhere"}, "region: expected .*us-east-1.*, got 'nowhere'"),
        ({"project": "a-name-that-makes-no-bucket"}, "project: expected 2 to 10 lower-case letters"),
        ({"colour": "green"}, "colour: expected one of "),
    ],
)
def test_a_bad_variable_is_refused_with_what_was_expected(
    state_folder: Path, variables: dict[str, object], message: str
) -> None:
    """An invalid value, an unknown variable, a name that would be too long for a bucket: one line."""
    with pytest.raises(SettingsError, match=message) as caught:
        Provision(run_id="run-r", variables=variables).apply()
    assert len(str(caught.value).splitlines()) == 1
    assert not (state_folder / "terraform" / "run-r").exists()


def test_the_longest_names_make_a_bucket() -> None:
    """What the variables let through fits the 63 characters of a bucket's name."""
    assert len(f"{'p' * 10}-{'e' * 10}-{'r' * 32}-storage") <= 63


def test_production_is_never_applied_to() -> None:
    """Its settings allow a plan only, and the harness refuses to make a provision for it."""
    settings = load_settings("production", cluster_needed=False)
    assert settings.aws.may == "plan"
    provisioned = settings.environment.model_copy(update={"provision": "production"})
    with pytest.raises(RefusedError, match=r"'production' has aws\.may = plan: nothing is applied"):
        provision_of(settings.model_copy(update={"environment": provisioned}), Choice(), run_id="run-r")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reuse": "run-a", "modules": "vpc"}, "--modules: expected none with --reuse-env"),
        (
            {"reuse": None, "modules": "vpc,,s3"},
            "--modules: expected names such as vpc,eks,s3, got 'vpc,,s3'",
        ),
    ],
)
def test_options_that_contradict_are_refused(given: dict[str, str | None], message: str) -> None:
    """A choice that cannot be followed is not followed half."""
    with pytest.raises(RefusedError, match=message):
        Choice.parse(keep=False, **given)


def test_options_without_a_provisioned_environment_are_refused() -> None:
    """Where Terraform applies nothing, keeping it would be a promise of nothing."""
    settings = load_settings("production", cluster_needed=False)
    with pytest.raises(RefusedError, match="'production' has none"):
        Choice(keep=True).require_provision(settings)
    Choice().require_provision(settings)


@pytest.mark.parametrize(
    ("name", "body", "found"),
    [
        ("plan.txt", f"key = {ACCESS_KEY}", "AWS access key id"),
        ("logs/apply.out", f"sent {SECRET_KEY} along", "a credential of this run"),
        ("report.html", "-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("report.json", f"Bearer k8s-aws-v1.{'a' * 60}", "EKS token"),
        (
            "terraform.tfstate",
            json.dumps(
                {
                    "resources": [
                        {
                            "type": "aws_db_instance",
                            "name": "this",
                            "instances": [{"attributes": {"password": "pw", "token": None}}],
                        }
                    ]
                }
            ),
            "aws_db_instance.this: password",
        ),
        (
            "terraform.tfstate.backup",
            json.dumps({"outputs": {"auth_token": {"value": "x"}}}),
            "output auth_token",
        ),
    ],
)
def test_a_planted_credential_is_found_and_named(tmp_path: Path, name: str, body: str, found: str) -> None:
    """In state, plan, log and report alike, the file and what it holds are told, not the credential."""
    assert exposed([tmp_path], [SECRET_KEY]) == []
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(body)
    assert exposed([tmp_path], [SECRET_KEY]) == [f"{file}: {found}"]


def test_an_environment_that_keeps_a_credential_is_an_error(account: Account, tmp_path: Path) -> None:
    """The check after an apply knows the run's own credentials."""
    where = place(account)
    where.check()  # An account that was never opened has handed out none.
    require_no_secret(tmp_path, where)
    (tmp_path / "apply.err").write_text(f"signed with {SECRET_KEY}")
    with pytest.raises(EnvironmentFailedError, match=r"apply\.err: a credential of this run"):
        require_no_secret(tmp_path, where)

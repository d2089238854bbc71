"""A session that provisions: its choices are followed, and however it ends, nothing of it is left."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sabotage import Command, Copy, Ended, LabInUse, Run
from verify_command import verify

from clients import terraform_provider
from clients.aws import Aws, Credentials
from clients.marked import marked
from clients.terraform import MARK
from core.files import read_lines
from core.places import state
from core.waiting import wait_until
from fixtures.provision_reaping import Listed, environments
from lab import aws_double

pytestmark = pytest.mark.long

SESSION = ("-m", "pytest", "suites/infrastructure", "--env=lab", "--seed=7")
# A database takes the provider 80 s, whatever the machine: what happens meanwhile happens during the apply.
SLOW = "--modules=vpc,rds,s3"
INTERRUPTED, FAILED = 2, 1
# What a session that is stopped may take; the rest of its apply would take as long by itself.
CLEANED_S = 120
# What a whole session may take: 40 s alone, several times that beside other work.
ENDED_S = 480


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Iterator[Copy]:
    """Give a copy of the checkout that provisions; nothing may be left of it at the end."""
    made = Copy.make(tmp_path / "copy", test_lab.name)
    made.setting("environment", provision="lab")
    made.setting("probes", inside=False)
    assert environments() == []
    yield made
    assert environments() == []
    assert sites() == []


def sites() -> list[Path]:
    """Return the folders of all environments."""
    home = state() / "terraform"
    return [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []


def running(site: Path) -> list[int]:
    """Return the processes of Terraform, its provider and the double of an environment's folder."""
    of_terraform = [*marked(MARK, str(site / "data")), *marked(terraform_provider.MARK, str(site))]
    return [one.pid for one in [*of_terraform, *marked(aws_double.MARK, str(site / "double"))]]


def steps(run: Run) -> list[str]:
    """Return the steps of provisioning that a run has ended."""
    return [event["step"] for event in run.of_kind("environment.step")]


def in_the_apply(command: Command) -> Path:
    """Wait until a session has applied a part of its environment; return the environment's folder."""

    def there() -> Path | None:
        assert command.process.poll() is None, command.output
        logs = [site / "apply.out" for site in sites() if (site / "apply.out").exists()]
        return next((log.parent for log in logs if '"type":"apply_complete"' in log.read_text()), None)

    return wait_until("a resource to be made", there, 120, last=lambda: command.output[-2000:])


def test_a_kept_environment_is_taken_again_and_removed_by_name(copy: Copy) -> None:
    """Only the modules that were asked for are made, once; two workers of a second session take them."""
    first = copy.run(*SESSION, "--keep-env", "--modules=vpc,s3", timeout_s=ENDED_S)
    assert first.status == 0, first.output
    assert {"apply", "inventory"} <= set(steps(first.run))
    assert "eks was not provisioned (--modules)" in first.output
    assert "vpc was not provisioned" not in first.output
    [kept] = environments()
    assert (kept.state, kept.environment, kept.account) == ("kept", "lab", None)
    assert f"--reuse-env {kept.run_id} takes it again" in first.output
    try:
        assert_taken_again(copy, kept)
    finally:
        site = Path(kept.folder)
        alive = running(site)
        removed = verify("env", "destroy", kept.run_id)
    assert alive, "the double of a kept environment had ended"
    assert removed.returncode == 0, removed.stderr
    assert running(site) == []


def assert_taken_again(copy: Copy, kept: Listed) -> None:
    held = (Path(kept.folder) / "terraform.tfstate").read_bytes()
    second = copy.run(*SESSION, "--reuse-env", kept.run_id, "-n", "2", timeout_s=ENDED_S)
    assert second.status == 0, second.output
    assert steps(second.run) == ["outputs"]
    assert "vpc was not provisioned" not in second.output
    assert (Path(kept.folder) / "terraform.tfstate").read_bytes() == held
    assert (second.run.path / "terraform-plan.txt").exists()
    assert environments() == [kept]


def test_a_bad_choice_is_refused_before_anything(copy: Copy) -> None:
    """A module or an environment that there is not: one line, exit 4, and no folder of a run."""
    for choice, told in (
        ("--modules=vpc,cloud", "modules: expected"),
        ("--reuse-env=run-never", "environment run-never: there is none to reuse"),
    ):
        ended = copy.run(*SESSION, choice)
        assert ended.status == 4, ended.output
        [line] = [line for line in ended.output.splitlines() if line.startswith("ERROR")]
        assert told in line
        assert not (copy.folder / "reports/latest").exists()


def test_what_is_left_fails_a_session_and_is_named_with_its_price(copy: Copy) -> None:
    """An address without tag or name, made behind Terraform's back, turns a passed session into exit 4."""
    with copy.start(*SESSION, "--modules=vpc,s3") as command:
        [site] = wait_until(
            "the environment to be applied", applied, 120, last=lambda: command.output[-2000:]
        )
        planted = aws_of(site).client("ec2").allocate_address(Domain="vpc")["AllocationId"]
        ended = command.end(ENDED_S)
    assert ended.status == 4, ended.output
    assert "failed" not in ended.output.splitlines()[-1]
    assert f"yet 1 left: elastic-ip {planted} (0.12 USD a day)" in ended.output
    assert verify("env", "reap").returncode == 0


def applied() -> list[Path]:
    """Return the environments that are applied whole."""
    return [site for site in sites() if "applied" in kinds(site)]


def kinds(site: Path) -> dict[str, Mapping[str, Any]]:
    """Return the newest line of each kind of an environment's ledger."""
    return {line["kind"]: line for line in read_lines(site / "ledger.jsonl")}


def aws_of(site: Path) -> Aws:
    """Return a way to an environment's double."""
    credentials = Credentials(access_key=aws_double.ACCESS_KEY, secret_key=aws_double.SECRET_KEY)
    address = kinds(site)["double.starting"]["endpoint_url"]
    return Aws(credentials=credentials, region=aws_double.REGION, endpoint_url=address)


def interrupted(command: Command) -> None:
    """Press Ctrl-C."""
    command.interrupt()


def terminated(command: Command) -> None:
    """Do as a supervisor does: SIGTERM to the session's own process."""
    command.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("end", [interrupted, terminated])
def test_a_session_that_is_stopped_while_it_applies_leaves_nothing(
    copy: Copy, end: Callable[[Command], None], workers: tuple[str, ...]
) -> None:
    """What was made until then is destroyed and looked for; nobody waits for the rest of the apply."""
    with copy.start(*SESSION, SLOW, *workers) as command:
        site = in_the_apply(command)
        end(command)
        ended = command.end(CLEANED_S)
        assert command.left() == []
    assert ended.status == INTERRUPTED, ended.output
    assert_undone(ended, site)


def test_a_test_that_runs_out_of_time_while_it_applies_leaves_nothing(copy: Copy) -> None:
    """The first test fails by its time-out, the others by the environment that it did not get."""
    with copy.start(*SESSION, SLOW, "--timeout=40") as command:
        site = in_the_apply(command)
        ended = command.end(40 + CLEANED_S)
        assert command.left() == []
    assert ended.status == FAILED, ended.output
    assert "Timeout (>40.0s)" in ended.output
    assert_undone(ended, site)


def assert_undone(ended: Ended, site: Path) -> None:
    """See that the session has destroyed what it had applied in part, and is content with it."""
    assert "apply" not in steps(ended.run)
    assert steps(ended.run)[-1] == "destroy"
    assert ended.run.of_kind("environment.unclean") == []
    assert json.loads((ended.run.path / "run.json").read_text())["exit"] == ended.status
    assert running(site) == []

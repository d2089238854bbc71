"""A cloud on a bad day: what passes is borne, what does not is one clear error, and the account is clean."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from account import Account
from fault_proxy import LOST, Answer, FaultProxy, after, first

from core.errors import CommandError, EnvironmentFailedError, RefusedError, VerifyError
from fixtures.provision_reaping import environments, reap

pytestmark = pytest.mark.usefixtures("state_folder")

THROTTLED = Answer(status=503, code="RequestLimitExceeded", message="Request limit exceeded.")
BROKEN = Answer(status=500, code="InternalError", message="An internal error has occurred")
EXPIRED = Answer(status=403, code="ExpiredToken", message="The security token included is expired")
STALE = Answer(status=400, code="InvalidVpcID.NotFound", message="The vpc ID does not exist yet")
FULL = Answer(status=400, code="SubnetLimitExceeded", message="The maximum number of subnets is reached")
HELD = Answer(status=400, code="DependencyViolation", message="The vpc has dependencies")


# A lock of this kind belongs to a process, so another one has to hold it.
HOLD_STATE = """
import fcntl, os, sys, time
while not os.path.isdir(os.path.dirname(sys.argv[1])):
    time.sleep(0.01)
state = open(sys.argv[1], "a")
fcntl.lockf(state, fcntl.LOCK_EX)
time.sleep(120)
"""


@pytest.fixture
def proxy(account: Account) -> Iterator[FaultProxy]:
    """Give a way to the account that may misbehave."""
    with account.proxy() as running:
        yield running


def test_what_passes_is_borne(account: Account, proxy: FaultProxy) -> None:
    """Throttling, server errors, reads that lag behind writes, a deletion that has to wait: all retried.

    So is a creation whose answer got lost; what it made is in no state, and goes before the network has to.
    """
    proxy.faults = [
        first(2, "CreateVpc", THROTTLED),
        first(2, "CreateSubnet", BROKEN),
        first(1, "CreateSubnet", LOST),
        first(1, "DescribeVpcs", STALE),
        first(2, "DeleteVpc", HELD),
        first(1, "ListRoles", THROTTLED),  # of a listing
    ]
    provision = account.provision("run-borne", proxy)
    provision.apply()
    assert len(account.added()) == 8  # three that AWS made with the network, and the lost subnet
    provision.destroy()
    assert len(proxy.met) == 9
    # Twice it was held up by the test; by what lies in the network the provider would be for five minutes.
    assert [call.operation for call in proxy.calls].count("DeleteVpc") == 3
    assert account.added() == []
    assert environments() == []


@pytest.mark.long
def test_an_apply_that_fails_half_way_is_one_clear_error_and_is_undone(
    account: Account, proxy: FaultProxy
) -> None:
    """The resource and the cloud's own words are named; what was made until then goes."""
    proxy.faults = [after(1, "CreateSubnet", FULL)]
    provision = account.provision("run-half", proxy)
    with pytest.raises(CommandError) as caught:
        provision.apply()
    assert "aws_subnet.this" in str(caught.value)
    assert "SubnetLimitExceeded" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert account.added() != []
    provision.destroy()
    assert account.added() == []
    assert environments() == []


@pytest.mark.long
def test_a_state_that_another_holds_is_named_and_nothing_is_made(
    account: Account, proxy: FaultProxy, state_folder: Path
) -> None:
    """A lock on the state that never comes free ends the run before anything is made."""
    state = state_folder / "terraform" / "run-locked" / "terraform.tfstate"
    holder = subprocess.Popen([sys.executable, "-c", HOLD_STATE, str(state)])
    provision = account.provision("run-locked", proxy)
    try:
        with pytest.raises(CommandError, match="acquiring the state lock"):
            provision.apply()
    finally:
        holder.kill()
        holder.wait()
    provision.destroy()
    assert account.added() == []
    assert environments() == []


def test_expired_credentials_are_refused_before_anything(account: Account, proxy: FaultProxy) -> None:
    """Credentials that have expired end the run in one line with what to do; nothing was made."""
    proxy.faults = [first(99, "GetCallerIdentity", EXPIRED)]
    with pytest.raises(RefusedError, match=r"AWS credentials for http://\S+ have expired: renew them"):
        account.provision("run-early", proxy).apply()
    assert environments() == []


@pytest.mark.long
def test_credentials_that_expire_in_the_middle_leave_it_to_the_reaper(
    account: Account, proxy: FaultProxy
) -> None:
    """The error says so, the environment stays known, and with fresh credentials the reaper undoes it."""
    provision = account.provision("run-expired", proxy)
    proxy.faults = [after(0, "CreateSubnet", EXPIRED)]
    with pytest.raises(CommandError, match="ExpiredToken"):
        provision.apply()
    proxy.faults = [after(0, ".*", EXPIRED)]
    with pytest.raises(VerifyError, match=r"ExpiredToken|expired"):
        provision.destroy()
    assert [one.run_id for one in environments()] == ["run-expired"]
    assert account.added() != []
    proxy.clear()
    lease = environments()[0]
    [reaped] = reap(now_s=lease.expires_s + 1)
    assert (reaped.remains, reaped.error) == ((), None)
    assert account.added() == []


@pytest.mark.long
def test_a_destruction_that_is_blocked_names_what_is_left_and_what_blocks(
    account: Account, proxy: FaultProxy
) -> None:
    """The error has the resource and what still exists; once the block is gone the reaper undoes the rest."""
    provision = account.provision("run-blocked", proxy, timeout_s=40)
    provision.apply()
    proxy.faults = [after(0, "DeleteVpc", HELD)]
    with pytest.raises(EnvironmentFailedError) as caught:
        provision.destroy()
    message = str(caught.value)
    assert re.search(r"deleting EC2 VPC \(vpc-\w+\).*DependencyViolation: The vpc has dependencies", message)
    assert re.search(r"\nleft: vpc vpc-\w+$", message)
    assert len(message.splitlines()) == 3
    assert [one.run_id for one in environments()] == ["run-blocked"]
    proxy.clear()
    [reaped] = reap(now_s=environments()[0].expires_s + 1)
    assert (reaped.remains, reaped.error) == ((), None)
    assert account.added() == []


@pytest.mark.long
def test_a_cloud_that_never_answers_ends_by_the_time_out(account: Account, proxy: FaultProxy) -> None:
    """The step's time-out names the resource that was being made, and what there is goes."""
    release = threading.Event()

    def silent(call: object) -> None:
        if getattr(call, "operation", "") == "CreateSubnet":
            release.wait(120)

    proxy.faults = [silent]  # type: ignore[list-item]
    provision = account.provision("run-silent", proxy, timeout_s=30)
    with pytest.raises(CommandError, match=r"none within 30 s\n(.|\n)*aws_subnet.this"):
        provision.apply()
    release.set()
    proxy.clear()
    provision.destroy()
    assert account.added() == []

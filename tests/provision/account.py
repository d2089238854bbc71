"""A stand-in of an AWS account that outlives the runs in it: one double, with a proxy for each run."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fault_proxy import FaultProxy
from small_root import ENVIRONMENT, write

from clients.aws import Aws, Credentials
from clients.aws_inventory import Resource, inventory
from core.places import checkout
from fixtures.provision_place import AccountPlace
from fixtures.provisioning import Provision
from lab.aws_double import AwsDouble

NUMBER = "000000000000"
REGION = "us-east-1"
ACCESS_KEY = "AKIAQ3EXAMPLE7TESTED"
SECRET_KEY = "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"
# Terraform's calls in a whole life of the small root, about half of them of its destruction.
CALLS = 67
# After the calls that delete, a life is over within less than three seconds: a kill that waits could miss it.
LAST_DELAYED = 60

LIFE = """
import json, signal, sys
from pathlib import Path
from fixtures.provision_place import AccountPlace
from fixtures.provisioning import Provision
# As a session does it: a signal interrupts what it does, and is not heard while it cleans up.
signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
given = json.loads(sys.argv[1])
place = AccountPlace(**given["place"])
life = Provision(
    run_id=given["run_id"], environment=given["environment"], place=place, source=Path(given["source"])
)
try:
    life.apply()
finally:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    life.destroy()
"""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The double as an account, what it held at first, and the source of the small root."""

    double: AwsDouble
    aws: Aws
    before: list[Resource]
    source: Path

    @classmethod
    def of(cls, double: AwsDouble, folder: Path) -> Account:
        credentials = Credentials(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        aws = Aws(credentials=credentials, region=REGION, endpoint_url=double.endpoint_url)
        return cls(double=double, aws=aws, before=inventory(aws), source=write(folder / "source"))

    def added(self) -> list[str]:
        """Return all that exists and did not at first, whoever's it is."""
        return [str(one) for one in sorted(set(inventory(self.aws)) - set(self.before))]

    @contextmanager
    def proxy(self) -> Iterator[FaultProxy]:
        """Give a way to the account that may misbehave."""
        with FaultProxy(self.double.endpoint_url).running() as running:
            yield running

    def provision(self, run_id: str, proxy: FaultProxy, *, timeout_s: float = 120.0) -> Provision:
        """Return a run's environment of the small root in this account."""
        return Provision(
            run_id=run_id,
            environment=ENVIRONMENT,
            place=AccountPlace(**place_of(proxy)),  # type: ignore[arg-type]
            source=self.source,
            timeout_s=timeout_s,
        )

    def live(self, run_id: str, proxy: FaultProxy) -> subprocess.Popen[bytes]:
        """Start a process that applies and destroys the small root."""
        given = {
            "run_id": run_id,
            "environment": ENVIRONMENT,
            "place": place_of(proxy),
            "source": str(self.source),
        }
        return subprocess.Popen(
            [sys.executable, "-c", LIFE, json.dumps(given)],
            cwd=checkout(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def place_of(proxy: FaultProxy) -> dict[str, object]:
    return {
        "accounts": [NUMBER],
        "regions": [REGION],
        "region": REGION,
        "endpoint_url": proxy.url,
        "settle_s": 2.0,
    }


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a run is killed: at which of Terraform's calls to AWS, and how long after it (seconds)."""

    call: int
    delay_s: float

    @classmethod
    def drawn(cls, seed: int) -> Moment:
        """Draw one: any call of a life, and in half of the cases some time later, between two calls."""
        draw = random.Random(seed)
        call, delay_s = draw.randint(1, CALLS), draw.choice((0.0, 1.0)) * draw.uniform(0, 4)
        return cls(call=call, delay_s=delay_s if call <= LAST_DELAYED else 0.0)


def signal_at(
    moment: Moment, harness: subprocess.Popen[bytes], proxy: FaultProxy, number: int = signal.SIGKILL
) -> None:
    """Send `harness` a signal at the moment."""

    def on_call(count: int) -> None:
        if count == moment.call:
            # Not here and now: what is being answered must not wait for the delay.
            timer = threading.Timer(moment.delay_s, harness.send_signal, [number])
            timer.daemon = True
            timer.start()

    proxy.on_call = on_call

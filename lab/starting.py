"""A lab's start: machines, control plane, nodes and add-ons, side by side as far as they can be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clients.kubernetes import ApiError, Cluster
from core.errors import EnvironmentFailedError, WaitTimeoutError
from core.processes import ProcessId, run
from core.waiting import wait_until
from lab import addons, cgroups, machines, network, record, registry, volumes
from lab.components import ControlPlane, Tuning, Worker
from lab.images import Image
from lab.pki import Authority
from lab.plan import Machine, Plan
from lab.toolchain import Toolchain

# The machines of a lab are not to starve beside the load generator and the harness, which on this machine
# stand for others': as many shares as sixteen ordinary processes.
_SHARES = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a planned lab, whose record is on disk already."""

    plan: Plan
    tools: Toolchain
    registry: Path
    provisioner: Path
    volume_helper: Image
    images: Sequence[Path]
    tuning: Tuning
    progress: Callable[[str], None]
    abandoned: threading.Event = field(default_factory=threading.Event)

    def run(self, started: float) -> dict[str, float]:
        """Start everything; return the seconds from `started` (monotonic) to each stage."""
        plan = self.plan
        seconds: dict[str, float] = {}

        def reached(what: str) -> None:
            seconds[what] = round(time.monotonic() - started, 2)
            self.progress(f"lab {plan.name}: {what} after {seconds[what]:.1f} s")

        cgroups.make(plan.cgroup)
        for group in (str(Path(plan.cgroup).parent), plan.cgroup):
            cgroups.weigh(group, _SHARES)
        network.make_switch(plan)
        for machine in plan.machines:
            machine.folder.mkdir(parents=True)
            network.make_netns(plan, machine)
        authority = Authority(plan.folder / "pki")
        control = ControlPlane(plan=plan, tools=self.tools, authority=authority)
        programs = [registry.program(plan, self.registry), *control.prepare()]
        programs += control.later(self._api_answers, self.tuning)
        programs.append(
            volumes.program(plan, authority, self.provisioner, self.volume_helper, self._api_answers)
        )
        control_plane = machines.start(plan, plan.control_plane, self.tools, programs, self._note)
        with ThreadPoolExecutor() as pool, self.giving_up():
            nodes = [pool.submit(self._start_node, machine, authority) for machine in plan.workers]
            cluster = Cluster(plan.kubeconfig)
            registry.wait(plan.registry)
            reached("registry answers")
            registry.push(plan.registry, [self.volume_helper])
            _wait_for_api(plan, control_plane, cluster)
            reached("API server ready")
            self._api_answers.touch()
            addons.install(cluster, plan)
            volumes.install(cluster)
            for node in nodes:
                node.result()
            reached("images on every node")
        _wait_for_nodes(plan, cluster)
        reached("nodes Ready")
        addons.wait_for_names(cluster, 60)
        reached("names resolve in a pod")
        return seconds

    @contextmanager
    def giving_up(self) -> Iterator[None]:
        """Let the nodes' threads stop waiting when anything in here fails, an interrupt too.

        Whoever waits for those threads would otherwise wait for an API server that will not come.
        """
        try:
            yield
        except BaseException:
            self.abandoned.set()
            raise

    @property
    def _api_answers(self) -> Path:
        return self.plan.folder / "api-answers"

    def _note(self, machine: str, process: ProcessId) -> None:
        record.add_process(self.plan, machine, process)

    def _start_node(self, machine: Machine, authority: Authority) -> None:
        ready = machine.folder / "images-loaded"
        worker = Worker(plan=self.plan, machine=machine, tools=self.tools, authority=authority)
        programs = worker.prepare(ready, self.tuning)
        node = machines.start(self.plan, machine, self.tools, programs, self._note)
        socket = Path("/proc", str(node.init_pid()), "root", "run/containerd/containerd.sock")
        self._wait(f"{machine.name}'s container runtime to listen", socket)
        for image in self.images:
            _import_image(node, self.tools, image)
        self._wait("the API server to answer", self._api_answers)
        ready.touch()

    def _wait(self, description: str, file: Path) -> None:
        def there() -> bool:
            if self.abandoned.is_set():
                raise EnvironmentFailedError(f"waiting for {description}: the start was given up")
            return file.exists()

        wait_until(description, there, 60, interval_s=0.02)


def _import_image(node: machines.Running, tools: Toolchain, layout: Path) -> None:
    """Import an OCI layout into one node's container runtime: what no registry can be asked for yet."""
    socket = "--address=/run/containerd/containerd.sock"
    words = (socket, "--namespace=k8s.io", "images", "import", "--local", "--digests", "-")
    command = node.inside(tools.program("ctr"), *words)
    piped = 'tar --create --directory="$0" . | "$@"'
    run(["bash", "-o", "pipefail", "-c", piped, layout, *command], timeout_s=120)


def _wait_for_api(plan: Plan, control_plane: machines.Running, cluster: Cluster) -> None:
    last: list[str] = []

    def answers() -> bool:
        control_plane.check()
        try:
            cluster.request("GET", "/readyz", timeout_s=2)
        except (ApiError, json.JSONDecodeError) as error:
            last[:] = [str(error)]
            # /readyz answers the word ok, which is no JSON.
            return isinstance(error, json.JSONDecodeError)
        return True

    try:
        wait_until("the API server to be ready", answers, 60, interval_s=0.05, last=lambda: last)
    except WaitTimeoutError as error:
        log = plan.control_plane.folder / "log" / "kube-apiserver.log"
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else "no log"
        raise EnvironmentFailedError(f"{error}\n{tail}") from error


def _ready_nodes(cluster: Cluster) -> set[str]:
    return {
        node["metadata"]["name"]
        for node in cluster.list("nodes")
        for condition in node["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
    }


def _wait_for_nodes(plan: Plan, cluster: Cluster) -> None:
    wanted = {m.name for m in plan.workers}
    wait_until(
        f"nodes {', '.join(sorted(wanted))} to be Ready",
        lambda: wanted <= _ready_nodes(cluster),
        60,
        interval_s=0.1,
        last=lambda: sorted(_ready_nodes(cluster)),
    )

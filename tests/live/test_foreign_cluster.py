"""Any cluster that a kubeconfig names: here the lab, as if somebody else had made it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sabotage import Copy, LabInUse

from clients.kubernetes import Cluster
from lab import stores
from lab.cluster import find, status
from lab.images import build_agent_image, build_chaos_image, build_image


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout with an environment `foreign`, whose nodes have the images already."""
    copy = Copy.make(tmp_path / "copy", test_lab.name)
    lab = find(test_lab.name)
    assert lab is not None
    images = {}
    for which, version in (("current", "1.0.0"), ("upgrade", "1.1.0"), ("bad", "1.2.0")):
        image = build_image("auth-service", version)
        lab.push([image])
        images[which] = image.pinned
    environments = copy.folder / "environments"
    text = (environments / "lab.toml").read_text()
    before, _, rest = text.partition("[lab]\n")
    after = rest.partition("[probes]\n")[2]
    cluster = f'[cluster]\nkubeconfig = "{test_lab.kubeconfig}"\n\n[chaos]\n\n[probes]\n'
    (environments / "foreign.toml").write_text(before + cluster + after)
    foreign = "environments/foreign.toml"
    copy.setting("environment", foreign, name="foreign", provider="kubeconfig")
    copy.setting("releases.auth-service", foreign, images=images)
    for store in ("ferretdb", "valkey"):
        image = stores.build(store)
        lab.push([image])
        copy.setting(f"stores.{store}", foreign, image=image.pinned)
    agent, chaos = build_agent_image(), build_chaos_image()
    lab.push([agent, chaos])
    copy.setting("probes", foreign, image=agent.pinned)
    copy.setting("chaos", foreign, image=chaos.pinned)
    return copy


@pytest.mark.long
def test_a_foreign_cluster_is_verified_and_left_as_it_was(copy: Copy, test_lab: LabInUse) -> None:
    """All that needs only the API works there, a kill on a node by the agents that the run installs too."""
    tests = "pod-delete or pod-kill or steady"
    ended = copy.run("-m", "cli.main", "rehearse", "--env=foreign", "--seed=7", "-k", tests)
    assert ended.status == 0, ended.output
    for scenario in ("steady-state", "pod-delete", "pod-kill"):
        assert set(ended.outcomes(scenario).values()) == {"PASS"}, scenario
    assert {event["fault"] for event in ended.run.of_kind("fault.proved")} == {"pod_delete", "container_kill"}
    assert Cluster(test_lab.kubeconfig).get("namespaces", "ecochain") is None
    assert Cluster(test_lab.kubeconfig).get("namespaces", "ecochain-chaos") is None
    assert status(test_lab.name)["state"] == "up"

"""Any cluster that a kubeconfig names: here the lab, as if somebody else had made it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sabotage import Copy, LabInUse

from clients.kubernetes import Cluster
from lab.cluster import find, status
from lab.images import build_image


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout with an environment `foreign`, whose nodes have the images already."""
    copy = Copy.make(tmp_path / "copy", test_lab.name)
    lab = find(test_lab.name)
    assert lab is not None
    images = {}
    for which, version in (("current", "1.0.0"), ("upgrade", "1.1.0"), ("bad", "1.2.0")):
        image = build_image("auth-service", version)
        lab.load_image(image.tar)
        images[which] = image.pinned
    environments = copy.folder / "environments"
    text = (environments / "lab.toml").read_text()
    before, _, rest = text.partition("[lab]\n")
    after = rest.partition("[probes]\n")[2]
    cluster = f'[cluster]\nkubeconfig = "{test_lab.kubeconfig}"\n\n[probes]\n'
    (environments / "foreign.toml").write_text(before + cluster + after)
    foreign = "environments/foreign.toml"
    copy.setting("environment", foreign, name="foreign", provider="kubeconfig")
    copy.setting("releases.auth-service", foreign, images=images)
    return copy


def test_a_foreign_cluster_is_verified_and_left_as_it_was(copy: Copy, test_lab: LabInUse) -> None:
    """All that needs only the API works there; a kill on a node is refused by name, and nothing is hit."""
    tests = "deleted_pod or killed_container or good_release or steady"
    ended = copy.run("-m", "cli.main", "rehearse", "--env=foreign", "--seed=7", "-k", tests)
    assert ended.status == 3, ended.output
    for scenario in ("steady-state", "pod-delete", "good-release"):
        assert set(ended.outcomes(scenario).values()) == {"PASS"}, scenario
    assert ended.outcomes("pod-kill") == dict.fromkeys(
        ("recovery_time", "downtime", "error_ratio"), "INCONCLUSIVE"
    )
    for verdict in ended.verdicts("pod-kill").values():
        assert "fault container_kill needs access to the nodes" in verdict["cause"]
        assert "'foreign'" in verdict["cause"]
    assert {event["fault"] for event in ended.run.of_kind("fault.injected")} == {"pod_delete"}
    assert Cluster(test_lab.kubeconfig).get("namespaces", "ecochain") is None
    assert status(test_lab.name)["state"] == "up"

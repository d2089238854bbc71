"""The seam to MongoDB Atlas: its Administration API, version 2, for one project."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from clients.atlas_http import ApiKey, AtlasError, AtlasHttp, Object, ServiceAccount
from core.errors import EnvironmentFailedError
from core.waiting import wait_until

__all__ = ["ApiKey", "Atlas", "AtlasError", "ServiceAccount"]

BASE_URL = "https://cloud.mongodb.com"


class Atlas:
    """One project ("group") of Atlas. Close it, or use it as a context."""

    def __init__(
        self,
        *,
        project_id: str,
        credentials: ApiKey | ServiceAccount,
        base_url: str = BASE_URL,
        timeout_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._project_id, self._sleep = project_id, sleep
        self._api = AtlasHttp(
            base_url=base_url,
            root=f"/api/atlas/v2/groups/{project_id}",
            credentials=credentials,
            timeout_s=timeout_s,
            sleep=sleep,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def clusters(self) -> list[Object]:
        """Return every cluster of the project."""
        return list(self._api.pages("/clusters"))

    def cluster(self, name: str) -> Object | None:
        """Return a cluster, or None if there is none."""
        return self._api.found(f"/clusters/{name}")

    def create_cluster(self, specification: Mapping[str, Any]) -> Object:
        """Begin to make a cluster (`name`, `clusterType`, `replicationSpecs`, …); see `wait_idle`."""
        return self._api.make("/clusters", specification)

    def delete_cluster(self, name: str, *, retain_backups: bool = False) -> bool:
        """Begin to delete a cluster; False if there is none. Its snapshots go too unless retained."""
        return self._api.remove(f"/clusters/{name}?retainBackups={str(retain_backups).lower()}")

    def wait_idle(self, name: str, timeout_s: float, *, interval_s: float = 10.0) -> Object:
        """Wait until a cluster is IDLE and return it. Raises WaitTimeoutError with the state seen last."""
        seen: list[Object | None] = [None]

        def idle() -> Object | None:
            seen[0] = self.cluster(name)
            return seen[0] if seen[0] is not None and seen[0]["stateName"] == "IDLE" else None

        return wait_until(
            f"Atlas cluster {name} to be idle",
            idle,
            timeout_s,
            interval_s=interval_s,
            last=lambda: seen[0] and seen[0]["stateName"],
            sleep=self._sleep,
        )

    def wait_gone(self, name: str, timeout_s: float, *, interval_s: float = 10.0) -> None:
        """Wait until there is no cluster of this name. Raises WaitTimeoutError."""
        wait_until(
            f"Atlas cluster {name} to be gone",
            lambda: self.cluster(name) is None,
            timeout_s,
            interval_s=interval_s,
            sleep=self._sleep,
        )

    def backup_schedule(self, cluster: str) -> Object:
        """Return when snapshots are taken and how long they are kept."""
        return self._api.get(f"/clusters/{cluster}/backup/schedule")

    def set_backup_schedule(self, cluster: str, changes: Mapping[str, Any]) -> Object:
        """Change the schedule (`policies`, `restoreWindowDays`, …); return the whole."""
        return self._api.json("PATCH", f"/clusters/{cluster}/backup/schedule", body=changes, again=True)

    def snapshots(self, cluster: str) -> list[Object]:
        """Return the snapshots of a cluster."""
        return list(self._api.pages(f"/clusters/{cluster}/backup/snapshots"))

    def take_snapshot(self, cluster: str, *, description: str, retention_days: int) -> Object:
        """Begin a snapshot on demand, kept for `retention_days`; return it as it is queued."""
        body = {"description": description, "retentionInDays": retention_days}
        return self._api.make(f"/clusters/{cluster}/backup/snapshots", body)

    def wait_snapshot(
        self, cluster: str, snapshot_id: str, timeout_s: float, *, interval_s: float = 10.0
    ) -> Object:
        """Wait until a snapshot is completed and return it.

        Raises EnvironmentFailedError if it failed, WaitTimeoutError if it did not end in time.
        """
        path = f"/clusters/{cluster}/backup/snapshots/{snapshot_id}"

        def completed() -> Object | None:
            found = self._api.get(path)
            if found["status"] == "failed":
                raise EnvironmentFailedError(f"Atlas snapshot {snapshot_id} of {cluster}: failed")
            return found if found["status"] == "completed" else None

        what = f"Atlas snapshot {snapshot_id} of {cluster}"
        return wait_until(what, completed, timeout_s, interval_s=interval_s, sleep=self._sleep)

    def restore(self, cluster: str, snapshot_id: str, *, target_cluster: str) -> Object:
        """Begin to restore a snapshot over `target_cluster` of this project; return the job."""
        body = {
            "deliveryType": "automated",
            "snapshotId": snapshot_id,
            "targetClusterName": target_cluster,
            "targetGroupId": self._project_id,
        }
        return self._api.make(f"/clusters/{cluster}/backup/restoreJobs", body)

    def wait_restored(
        self, cluster: str, job_id: str, timeout_s: float, *, interval_s: float = 10.0
    ) -> Object:
        """Wait until a restore job has finished and return it.

        Raises EnvironmentFailedError if it failed, was cancelled or expired; WaitTimeoutError.
        """
        path = f"/clusters/{cluster}/backup/restoreJobs/{job_id}"

        def finished() -> Object | None:
            found = self._api.get(path)
            wrong = [name for name in ("failed", "cancelled", "expired") if found.get(name)]
            if wrong:
                raise EnvironmentFailedError(f"Atlas restore {job_id} of {cluster}: {wrong[0]}")
            return found if found.get("finishedAt") else None

        what = f"Atlas restore {job_id} of {cluster}"
        return wait_until(what, finished, timeout_s, interval_s=interval_s, sleep=self._sleep)

    def peerings(self) -> list[Object]:
        """Return the project's peering connections with AWS VPCs."""
        return list(self._api.pages("/peers?providerName=AWS"))

    def create_peering(
        self, *, container_id: str, account: str, region: str, vpc_id: str, vpc_cidr: str
    ) -> Object:
        """Begin to peer a network container of the project with a VPC, which has to accept it."""
        body = {
            "providerName": "AWS",
            "containerId": container_id,
            "awsAccountId": account,
            "accepterRegionName": region,
            "vpcId": vpc_id,
            "routeTableCidrBlock": vpc_cidr,
        }
        return self._api.make("/peers", body)

    def delete_peering(self, peering_id: str) -> bool:
        """Begin to delete a peering; False if there is none."""
        return self._api.remove(f"/peers/{peering_id}")

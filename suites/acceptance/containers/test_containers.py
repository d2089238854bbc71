"""Inside every container: who runs, what listens, what can be written, and who knows a secret."""

from __future__ import annotations

from fixtures.acceptance import inspection
from fixtures.acceptance.inspection import Sight
from fixtures.acceptance.replicas import Replica

# Not marked readonly: looking starts a process in the container.
Sights = list[tuple[Replica, Sight]]


def test_every_process_is_the_unprivileged_user(sights: Sights) -> None:
    """User and group 10001, without a capability, and without a way to more."""
    for replica, sight in sights:
        assert sight.processes, f"{replica.name}: no process was seen"
        assert inspection.identities(sight) == [], replica.name


def test_exactly_the_declared_ports_listen(sights: Sights) -> None:
    """Nothing else listens, on loopback neither."""
    for replica, sight in sights:
        assert inspection.undeclared_ports(sight, replica.ports) == [], replica.name


def test_the_root_is_read_only(sights: Sights) -> None:
    """Writing is tried at every mounted place: only declared volumes let it happen."""
    for replica, sight in sights:
        assert inspection.writable_places(sight, replica.writable_volumes) == [], replica.name


def test_no_file_is_open_to_all_or_changes_the_user(sights: Sights) -> None:
    """No file is writable by everybody, set-uid or set-gid."""
    for replica, sight in sights:
        assert list(sight.loose) == [], replica.name


def test_no_process_knows_a_secret_that_is_not_its_own(sights: Sights, service: str) -> None:
    """Read from each process as it runs: only a store's address may be one, and only where it is used."""
    for replica, sight in sights:
        assert inspection.foreign_secrets(sight, service, replica.from_secrets) == [], replica.name


def test_signing_keys_lie_with_auth_service_alone(sights: Sights, service: str) -> None:
    """As a file that nobody else reads and nobody writes."""
    for replica, sight in sights:
        assert inspection.misplaced_keys(sight, service) == [], replica.name

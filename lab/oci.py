"""The OCI image format: layers as reproducible tars, and the layout that tools read."""

from __future__ import annotations

import hashlib
import json
import platform
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MEDIA = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An uncompressed layer: its file, its digest (`sha256:…`) and its size in bytes."""

    path: Path
    digest: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """An image's manifest and config, as bytes and digests, before it has a name."""

    body: bytes
    config: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """Return the digest that pins the image."""
        return digest_of(self.body)

    @property
    def config_digest(self) -> str:
        """Return the digest that container runtimes call the image's id."""
        return digest_of(self.config)


def digest_of(data: bytes) -> str:
    """Return `sha256:…` of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def file_digest(path: Path) -> str:
    """Return `sha256:…` of a file's contents."""
    with path.open("rb") as data:
        return f"sha256:{hashlib.file_digest(data, 'sha256').hexdigest()}"


def architecture() -> str:
    """Return this machine's architecture in OCI's words."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def pack(root: Path, to: Path) -> Layer:
    """Pack what lies in `root` so that equal contents give an equal digest.

    Sorted, owned by root, dated 1970; devices and sockets are left out.
    """
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*"), key=lambda found: found.relative_to(root).as_posix()):
            _add(tar, path, path.relative_to(root).as_posix())
    return layer_of(to)


def layer_of(path: Path) -> Layer:
    """Read a layer's file back."""
    return Layer(path=path, digest=file_digest(path), size=path.stat().st_size)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    status = path.lstat()
    entry = tarfile.TarInfo(name)
    entry.mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(entry)
    elif stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        entry.size = status.st_size
        with path.open("rb") as data:
            tar.addfile(entry, data)


def manifest(
    layers: Sequence[Layer],
    *,
    entrypoint: Sequence[str],
    user: str,
    environment: Mapping[str, str],
    labels: Mapping[str, str],
) -> Manifest:
    """Return the manifest of an image that runs `entrypoint` as `user` (numbers: no file is asked)."""
    config = _json(
        {
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": user,
                "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
                "Entrypoint": list(entrypoint),
                "WorkingDir": "/",
                "Labels": dict(sorted(labels.items())),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    body = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _described(f"{_MEDIA}.config.v1+json", digest_of(config), len(config)),
            "layers": [_described(f"{_MEDIA}.layer.v1.tar", layer.digest, layer.size) for layer in layers],
        }
    )
    return Manifest(body=body, config=config, layers=tuple(layers))


def write_layout(image: Manifest, name: str, to: Path) -> None:
    """Make the folder `to` an OCI layout with this image under its full name; layers are hard links."""
    blobs = to / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    described = _described(f"{_MEDIA}.manifest.v1+json", image.digest, len(image.body))
    described["platform"] = {"architecture": architecture(), "os": "linux"}
    described["annotations"] = {"io.containerd.image.name": name}
    index = {"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": [described]}
    (to / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (to / "index.json").write_bytes(_json(index))
    for blob in (image.body, image.config):
        (blobs / _hex(digest_of(blob))).write_bytes(blob)
    for layer in {layer.digest: layer for layer in image.layers}.values():
        (blobs / _hex(layer.digest)).hardlink_to(layer.path)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _described(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

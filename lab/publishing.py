"""Pushing images to a registry that others pull from, under the tags of docker/metadata-action."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import EnvironmentFailedError, RefusedError
from core.places import checkout
from core.processes import run
from lab import programs
from lab.images import Image
from lab.registry import upload

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PREFIX = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*")
_SHORT = 7


@dataclass(frozen=True, kw_only=True)
class Published:
    """An image in a registry: its name there, the tags that lead to it and the digest that pins it."""

    name: str
    tags: tuple[str, ...]
    digest: str


def default_tags(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the branch and sha-<short commit>, as `type=ref,event=branch` and `type=sha,format=short` give.

    In a workflow by GITHUB_REF_NAME and GITHUB_SHA, else by the checkout. RefusedError outside of both.
    """
    branch = environment.get("GITHUB_REF_NAME") or _git("rev-parse", "--abbrev-ref", "HEAD")
    commit = environment.get("GITHUB_SHA") or _git("rev-parse", "HEAD")
    return [re.sub(r"[^A-Za-z0-9._-]+", "-", branch).lstrip(".-"), f"sha-{commit[:_SHORT]}"]


def publish(
    images: Sequence[Image],
    registry: str,
    tags: Sequence[str],
    progress: Callable[[str], None] = lambda _line: None,
) -> list[Published]:
    """Push each image to `registry` (HOST or HOST/PREFIX) under every tag, and look that it is there.

    Credentials are those of Docker's own settings ($DOCKER_CONFIG, its helpers too); they are read by crane
    and printed by nobody. Raises RefusedError for names that no registry takes, CommandError when a push
    fails, EnvironmentFailedError when the registry then has another digest.
    """
    if not _PREFIX.fullmatch(registry):
        raise RefusedError(f"registry: expected HOST or HOST/PREFIX, as ghcr.io/owner, got {registry!r}")
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise RefusedError(f"tag: expected up to 128 of A-Z, a-z, 0-9, '_', '.' and '-', got {tag!r}")
    crane = programs.ensure("crane", progress)
    published = []
    for image in images:
        name = f"{registry}/{image.reference.rpartition('/')[2]}"
        for tag in tags:
            progress(f"pushing {name}:{tag}")
            upload(crane, image.layout, f"{name}:{tag}")
            found = run([crane, "digest", f"{name}:{tag}"], timeout_s=60).stdout.strip()
            if found != image.digest:
                raise EnvironmentFailedError(
                    f"{name}:{tag}: expected {image.digest}, its registry has {found}"
                )
        published.append(Published(name=name, tags=tuple(tags), digest=image.digest))
    return published


def _git(*words: str) -> str:
    done = run(["git", *words], timeout_s=20, cwd=checkout(), check=False)
    if done.returncode != 0:
        raise RefusedError(
            "tags: expected a git checkout or GITHUB_REF_NAME and GITHUB_SHA; name some by --tag"
        )
    return done.stdout.strip()

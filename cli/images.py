"""`verify images`: build the services' images, and push them to a registry."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from core.errors import RefusedError
from lab import publishing
from lab.images import Image, build_image, services, source_tag
from reports.progress import Progress


def add_parser(commands: Any) -> None:
    """Add the command."""
    images = commands.add_parser("images", help="the services' container images")
    verbs = images.add_subparsers(dest="verb", required=True, metavar="build|push")
    for name, run, text in (
        ("build", _build, "build them; each is tagged by what it is made from"),
        ("push", _push, "build them and push them to a registry, logged in to as Docker is"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("services", nargs="*", metavar="SERVICE", help="which (default: all)")
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run=run)
        if name == "push":
            verb.add_argument("--registry", required=True, help="HOST/PREFIX, as ghcr.io/owner")
            several = "a tag, more than once for more (default: the branch and sha-<short commit>)"
            verb.add_argument("--tag", action="append", dest="tags", help=several)


def _images(arguments: argparse.Namespace, progress: Progress) -> list[Image]:
    known = services()
    for name in arguments.services:
        if name not in known:
            raise RefusedError(f"service: expected one of {', '.join(known)}, got {name!r}")
    wanted = arguments.services or known
    return [build_image(name, source_tag(name), progress=progress) for name in wanted]


def _size(image: Image) -> int:
    return sum(path.stat().st_size for path in (image.layout / "blobs").rglob("*") if path.is_file())


def _build(arguments: argparse.Namespace) -> int:
    with Progress() as progress:
        built = _images(arguments, progress)
    if arguments.json:
        told = [{"image": i.tagged, "digest": i.digest, "bytes": _size(i)} for i in built]
        print(json.dumps(told, indent=1))
    else:
        for image in built:
            print(f"{image.tagged}  {image.digest}  {_size(image) / 1e6:.1f} MB")
    return 0


def _push(arguments: argparse.Namespace) -> int:
    tags = arguments.tags or publishing.default_tags()
    with Progress() as progress:
        published = publishing.publish(_images(arguments, progress), arguments.registry, tags, progress)
    if arguments.json:
        print(json.dumps([asdict(one) for one in published], indent=1))
    else:
        for one in published:
            print(f"{one.name}:{{{','.join(one.tags)}}}  {one.digest}")
    return 0

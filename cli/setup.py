"""`verify setup`: all that a first run would otherwise wait for."""

from __future__ import annotations

import argparse
from typing import Any

from lab import aws_double, images, preflight, programs, stores, toolchain
from reports.progress import Progress


def add_parser(commands: Any) -> None:
    """Add the command."""
    setup = commands.add_parser("setup", help="install packages, build the toolchain and the base images")
    setup.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Install and build what is missing."""
    # Imported here: pytest, which `rehearse` starts in this process, wants to import the fixtures itself.
    from fixtures.environment import VERSIONS  # noqa: PLC0415

    with Progress() as progress:
        preflight.install_packages(progress)
        preflight.check()
        toolchain.ensure(progress)
        for name in programs.PROGRAMS:
            programs.ensure(name, progress)
        progress("the AWS double: its own Python environment")
        aws_double.interpreter()
        for name in (stores.FERRETDB, stores.VALKEY):
            stores.build(name, progress)
        for service in images.services():
            images.build_image(service, VERSIONS["current"], progress=progress)
        images.build_agent_image(progress)
        images.build_chaos_image(progress)
        progress("setup: done")
    return 0

"""Credentials looked for in what is kept: state, plan, logs, reports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# Forms that are credentials wherever they stand. Long-lived and temporary AWS keys, private keys, EKS tokens.
_FORMS = {
    "AWS access key id": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "EKS token": re.compile(rb"k8s-aws-v1\.[\w-]{40,}"),
}
# Attributes of a Terraform state that hold a secret if they hold anything.
_SECRET = re.compile(
    r"(?:^|_)(?:password|secret|secret_string|secret_binary|private_key|private_key_pem|auth_token|token)$"
)
_SHORTEST = 12
# The programs of Terraform's providers, and what the double keeps while it runs.
_PASSED_OVER = {".terraform", "data", "double"}


def exposed(paths: Iterable[Path], known: Iterable[str] = ()) -> list[str]:
    """Return each place that holds a credential, as "file: what", sorted.

    `paths` are files or folders, `known` are texts that must not occur; ones shorter than 12 characters are
    left out, since they may be words. In a Terraform state, attributes that hold secrets must be empty.
    """
    texts = [text.encode() for text in known if len(text) >= _SHORTEST]
    found: set[str] = set()
    for file in _files(paths):
        body = file.read_bytes()
        found |= {f"{file}: {what}" for what, form in _FORMS.items() if form.search(body)}
        if any(text in body for text in texts):
            found.add(f"{file}: a credential of this run")
        if ".tfstate" in file.name:
            found |= {f"{file}: {address}" for address in _held_in_state(body)}
    return sorted(found)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (
                file
                for file in sorted(path.rglob("*"))
                if file.is_file() and not file.is_symlink() and not _PASSED_OVER & set(file.parts)
            )


def _held_in_state(body: bytes) -> Iterator[str]:
    try:
        state = json.loads(body)
    except ValueError:
        return
    for resource in state.get("resources") or ():
        for instance in resource.get("instances") or ():
            for path in _secrets(instance.get("attributes") or {}):
                yield f"{resource['type']}.{resource['name']}: {path}"
    for name, output in (state.get("outputs") or {}).items():
        if _SECRET.search(name) and output.get("value"):
            yield f"output {name}"


def _secrets(attributes: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in attributes.items():
        if _SECRET.search(name) and isinstance(value, str) and value:
            yield f"{above}{name}"
        elif isinstance(value, Mapping):
            yield from _secrets(value, f"{above}{name}.")
        elif isinstance(value, list):
            for entry in value:
                if isinstance(entry, Mapping):
                    yield from _secrets(entry, f"{above}{name}.")

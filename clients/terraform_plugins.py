"""Where Terraform gets its providers from: a CLI configuration that fits this machine."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import RefusedError
from core.files import write_atomic

MIRROR_VARIABLE = "ECOCHAIN_VERIFY_TF_PLUGINS"

# Usual places of a filesystem mirror (patterns): Terraform's own implied ones, then any package's below /opt.
USUAL_MIRRORS = (
    "~/.terraform.d/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt/*",
)


def cli_config(target: Path, *, registry: str, provider: str, cache: Path) -> Path | None:
    """Return the CLI configuration file for Terraform to use, or None for the user's own ~/.terraformrc.

    In this order: the file that `$TF_CLI_CONFIG_FILE` names, if it exists; the mirror folder that
    `$ECOCHAIN_VERIFY_TF_PLUGINS` names; ~/.terraformrc; the first usual mirror folder with `provider`
    ("hashicorp/aws") of `registry` in it; else a download from the registry, kept in `cache`. A mirror and
    the download are written to `target`. Raises RefusedError if the named mirror lacks the provider.
    """
    given = _given()
    if given is not None:
        return given
    found = mirror(registry, provider)
    if found is not None:
        return _mirrored(target, found)
    if _own().is_file():
        return None
    cache.mkdir(parents=True, exist_ok=True)
    write_atomic(target, f'disable_checkpoint = true\nplugin_cache_dir = "{cache}"\n')
    return target


def mirror(registry: str, provider: str) -> Path | None:
    """Return the mirror folder that `cli_config` would use, None where it would use something else.

    Raises RefusedError if the named mirror lacks the provider.
    """
    if _given() is not None:
        return None
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        if not (Path(named) / registry / provider).is_dir():
            raise RefusedError(
                f"${MIRROR_VARIABLE}={named}: expected a folder {registry}/{provider} in it, got none"
            )
        return Path(named)
    if _own().is_file():
        return None
    places = (Path(usual).expanduser() for usual in USUAL_MIRRORS)
    found = (one for place in places for one in sorted(place.parent.glob(place.name)))
    return next((one for one in found if (one / registry / provider).is_dir()), None)


def _given() -> Path | None:
    given = os.environ.get("TF_CLI_CONFIG_FILE")
    return Path(given) if given and Path(given).is_file() else None


def _own() -> Path:
    return Path.home() / ".terraformrc"


def _mirrored(target: Path, mirror: Path) -> Path:
    text = f"""disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{
    path = "{mirror}"
  }}
}}
"""
    write_atomic(target, text)
    return target

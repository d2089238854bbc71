"""A root module's variables, checked by Terraform itself before anything is made."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clients.terraform import VARIABLES_FILE, Program
from clients.terraform_process import diagnostics
from core.errors import CommandError, SettingsError
from core.processes import run

_FILE = "variables.tf"


def declared(root: Path) -> set[str]:
    """Return the names of the variables of `root`/variables.tf."""
    return set(re.findall(r'^variable\s+"([^"]+)"', (root / _FILE).read_text(), flags=re.MULTILINE))


def check_variables(program: Program, root: Path, variables: Mapping[str, object]) -> None:
    """Have `program` judge the values by the types and validations of `root`/variables.tf.

    The declarations are planned alone, without the provider: under a second instead of ten. Raises
    SettingsError, naming the variable, what it should be and what it is.
    """
    known = declared(root)
    for name, value in variables.items():
        if name not in known:
            raise SettingsError(root / _FILE, name, f"one of {', '.join(sorted(known))}", value)
    with TemporaryDirectory(prefix="ecochain-verify-") as folder:
        shutil.copy(root / _FILE, folder)
        (Path(folder) / VARIABLES_FILE).write_text(json.dumps(dict(variables), indent=1))
        quiet = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_DATA_DIR": f"{folder}/data"}
        argv = [str(program.path), "plan", "-json", "-input=false", "-no-color"]
        done = run(argv, timeout_s=60, env=quiet, cwd=Path(folder), check=False)
    refused = diagnostics(done.stdout)
    if refused:
        raise _refused(root / _FILE, refused[0], variables)
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stdout + done.stderr)


def _refused(file: Path, diagnostic: Mapping[str, Any], variables: Mapping[str, object]) -> SettingsError:
    detail = " ".join(str(diagnostic["detail"]).split("\n\n")[0].split()).removesuffix(".")
    snippet = diagnostic.get("snippet") or {}
    code = f"{snippet.get('context') or ''} {snippet.get('code') or ''} {detail}"
    named = re.search(r'variable "(\w+)"|"(\w+)":|\bvar\.(\w+)', code)
    name = next(filter(None, named.groups())) if named else str(diagnostic["summary"])
    expected = detail.rpartition("-")[2].partition(": ")[2] if "not suitable for var." in detail else detail
    return SettingsError(file, name, expected.removeprefix(f"{name} must be "), variables.get(name))

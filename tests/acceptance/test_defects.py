"""The defects themselves: declared once, put in only by the test-only overlay."""

from __future__ import annotations

import ast
import re

from registry import SABOTAGES

from core.places import checkout

DEFECTS = checkout() / "tests/acceptance/defects"


def test_every_defect_is_declared_and_every_declared_one_is_made() -> None:
    """The overlay and the registry name the same defects."""
    answers = ast.parse((DEFECTS / "answer_defects.py").read_text())
    made = {
        node.name.replace("_", "-")
        for node in answers.body
        if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list
    }
    libraries = (DEFECTS / "library_defects.py").read_text()
    made |= set(re.findall(r'"([a-z]+(?:-[a-z]+){2,})"', libraries))
    assert made == {sabotage.defect for sabotage in SABOTAGES}


def test_no_shipped_source_knows_of_defects() -> None:
    """Nothing under services/ or helm/ reads the variable that puts a defect in."""
    shipped = [
        file
        for folder in ("services", "helm")
        for file in (checkout() / folder).rglob("*")
        if file.is_file() and file.suffix in {".py", ".yaml", ".yml", ".tpl", ".json", ".toml"}
    ]
    assert shipped
    assert [file for file in shipped if "DEFECT" in file.read_text()] == []

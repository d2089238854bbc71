"""The report has Terraform's plan and the time of each of its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports import allure


class Attached:
    """Stands in for allure.attach and keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def __call__(self, body: str, *, name: str, **_: Any) -> None:
        self.kept[name] = body

    def file(self, path: str, *, name: str, **_: Any) -> None:
        self.kept[name] = Path(path).read_text()


def test_the_plan_and_the_steps_are_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the plan, and a line a step; nothing where nothing was provisioned."""
    attached = Attached()
    monkeypatch.setattr(allure.allure, "attach", attached)
    plan = tmp_path / "terraform-plan.txt"
    plan.write_text("Plan: 4 to add")
    allure.attach_plan(None)
    allure.attach_plan({"plan": None, "seconds": {}})
    assert attached.kept == {}
    allure.attach_plan({"plan": str(plan), "seconds": {"init": 1.5, "apply": 12.25}})
    assert attached.kept["Terraform plan"] == "Plan: 4 to add"
    assert [line.split() for line in attached.kept["Terraform steps"].splitlines()] == [
        ["init", "1.50", "s"],
        ["apply", "12.25", "s"],
    ]

"""Each assertion about infrastructure turns red for a module that breaks it, and no other does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from applied import apply_variants, outcomes
from variants import (
    CACHE,
    CDN,
    CLUSTER,
    DATABASE,
    NETWORK,
    SOUND,
    SOUND_STORAGE,
    STORAGE,
    STORAGE_VARIANTS,
    VARIANTS,
    Variant,
)

from core.places import checkout
from lab.aws_double import AwsDouble

# The double cannot be asked it (docs/terraform.md).
NOT_ON_THE_DOUBLE = {"test_the_password_is_known_to_aws_alone"}


def wrong(
    variants: Sequence[Variant], got: dict[str, dict[str, str]]
) -> dict[str, tuple[list[str], list[str]]]:
    """Return (reds wanted, reds got) of each variant where they differ."""
    found = {}
    for variant in variants:
        reds = {test for test, outcome in got[variant.name].items() if outcome in {"failed", "error"}}
        if reds != variant.reds:
            found[variant.name] = (sorted(variant.reds), sorted(reds))
    return found


def test_each_break_of_storage_turns_its_test_red(double: AwsDouble, folder: Path) -> None:
    """A sample: applied by the real provider, every break of the bucket or its tags is named, alone."""
    variants = (SOUND_STORAGE, *STORAGE_VARIANTS)
    applied = apply_variants(double, folder, variants, timeout_s=120)
    got = outcomes(applied.provisioned, folder, ("test_storage.py", "test_tags.py"))
    assert wrong(variants, got) == {}
    assert "passed" in got["sound_s3"].values()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_production_as_it_ships_is_green(double: AwsDouble, folder: Path) -> None:
    """Nothing is red, and nothing is left out but what the double cannot be asked."""
    applied = apply_variants(double, folder, SOUND, timeout_s=800)
    got = outcomes(applied.provisioned, folder)
    assert wrong(SOUND, got) == {}
    skipped = {test for test, outcome in got["sound"].items() if outcome == "skipped"}
    assert skipped == NOT_ON_THE_DOUBLE | {"test_old_tls_is_refused_under_our_own_names"}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "modules", [NETWORK, CLUSTER, STORAGE, DATABASE, CACHE, CDN], ids=lambda found: "-".join(sorted(found))
)
def test_each_break_of_a_module_turns_its_test_red(
    double: AwsDouble, folder: Path, modules: frozenset[str]
) -> None:
    """Each break of it, applied beside the others, turns exactly the declared tests red."""
    variants = tuple(variant for variant in VARIANTS if variant.modules == modules)
    applied = apply_variants(double, folder, variants, timeout_s=800)
    assert wrong(variants, outcomes(applied.provisioned, folder)) == {}


def test_every_assertion_has_a_variant_that_breaks_it() -> None:
    """No test of the suite is there without having been seen red."""
    tests = {
        name
        for file in (checkout() / "suites" / "infrastructure").glob("test_*.py")
        if file.name != "test_outputs.py"
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert {variant.modules for variant in VARIANTS} <= {NETWORK, CLUSTER, STORAGE, DATABASE, CACHE, CDN}
    broken = {red for variant in VARIANTS for red in variant.reds}
    assert tests - broken == NOT_ON_THE_DOUBLE
    assert broken <= tests

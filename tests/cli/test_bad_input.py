"""Wrong input is one clear error, from both public commands, before anything is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from workshop import Answer, Workshop

LAB = "environments/lab.toml"
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: gone, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: gone, context: {cluster: gone, user: nobody}}]
current-context: gone
"""


Mistake = Callable[[Workshop], tuple[str, ...]]


def no_toml(shop: Workshop) -> tuple[str, ...]:
    shop.replace(LAB, "nodes = 3", "nodes = = 2")
    return (LAB, "line ", "expected valid TOML", "got ")


def unknown_key(shop: Workshop) -> tuple[str, ...]:
    shop.replace(LAB, "steady_s = 15", "steady_seconds = 15")
    return (LAB, "scenarios.steady_seconds", "expected one of the keys", "steady_s", "got 'steady_seconds'")


def wrong_type(shop: Workshop) -> tuple[str, ...]:
    shop.replace(LAB, "nodes = 3", 'nodes = "two"')
    return (LAB, "lab.nodes", "expected a valid integer", "got 'two'")


def wrong_unit(shop: Workshop) -> tuple[str, ...]:
    shop.replace(
        LAB, '[slas.latency_p95]\nallowed = 250\nunit = "ms"', '[slas.latency_p95]\nallowed = 250\nunit = "s"'
    )
    return (LAB, "slas.latency_p95.unit", "expected 'ms'", "got 's'")


def broken_chart(shop: Workshop) -> tuple[str, ...]:
    shop.replace(
        "helm/charts/auth-service/templates/objects.yaml",
        '{{ include "service-library.objects" . }}',
        "kind: {{ .Values.no.such }}",
    )
    return (
        "helm/charts/auth-service: render",
        "expected a chart that renders with auth-service.yaml",
        "got ",
        "nil pointer",
    )


def values_against_the_schema(shop: Workshop) -> tuple[str, ...]:
    shop.replace("helm/values/lab/auth-service.yaml", "replicaCount: 2", "replicaCount: two")
    return ("helm/charts/auth-service: render", "replicaCount", "expected a chart that renders", "got ")


def no_such_terraform(shop: Workshop) -> tuple[str, ...]:
    shop.replace(LAB, 'provision = "lab"', 'provision = "moon"')
    return ("terraform/environments", "moon")


@pytest.mark.parametrize("mistake", [no_toml, wrong_unit, broken_chart])
def test_a_wrong_file_is_one_error_of_both_commands(workshop: Workshop, mistake: Mistake) -> None:
    """File, key, expected and got are named; nothing is made; exit 2, under pytest its own 4."""
    told = mistake(workshop)
    refused(workshop, workshop.rehearse("--env=lab"), 2, told)
    refused(workshop, workshop.pytest("--env=lab"), 4, told)


@pytest.mark.parametrize("mistake", [unknown_key, wrong_type, values_against_the_schema, no_such_terraform])
def test_a_wrong_file_is_one_error(workshop: Workshop, mistake: Mistake) -> None:
    """The same for what lies deeper in the files."""
    told = mistake(workshop)
    refused(workshop, workshop.rehearse("--env=lab"), 2, told)


def test_an_unknown_environment_is_one_error(workshop: Workshop) -> None:
    """The environments there are get named."""
    told = ("environments/moon.toml: --env", "expected one of lab, production, staging", "got 'moon'")
    refused(workshop, workshop.rehearse("--env=moon"), 2, told)
    refused(workshop, workshop.pytest("--env=moon"), 4, told)


def test_a_cluster_that_does_not_answer_is_one_error(workshop: Workshop) -> None:
    """The kubeconfig and the address are named."""
    file = workshop.folder / "kubeconfig"
    file.write_text(KUBECONFIG)
    told = (
        f"{file}: server",
        "expected an API server that answers at https://127.0.0.1:1",
        "got ",
        "refused",
    )
    refused(workshop, workshop.rehearse("--env=staging", ECOCHAIN_VERIFY_KUBECONFIG=str(file)), 2, told)
    refused(workshop, workshop.pytest("--env=staging", f"--kubeconfig={file}"), 4, told)


def test_a_kubeconfig_that_is_not_there_is_one_error(workshop: Workshop) -> None:
    """It is the setting that is wrong."""
    told = ("environments/staging.toml: cluster.kubeconfig", "expected the path of a file", "got '/nowhere'")
    refused(workshop, workshop.rehearse("--env=staging", ECOCHAIN_VERIFY_KUBECONFIG="/nowhere"), 2, told)


def test_listing_the_tests_makes_nothing(workshop: Workshop) -> None:
    """`--collect-only` needs no environment, and none is made."""
    listed = workshop.pytest("--env=lab", "--collect-only", "-q")
    assert listed.status == 0, listed.output
    assert " tests collected" in listed.output
    assert workshop.made() == []


def refused(shop: Workshop, answer: Answer, status: int, told: tuple[str, ...]) -> None:
    """See one error that tells all this, the exit status, and that nothing was made."""
    assert answer.status == status, answer.output
    errors = [line for line in answer.output.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1, answer.output
    for words in told:
        assert words in errors[0]
    assert "Traceback" not in answer.output
    assert shop.made() == []

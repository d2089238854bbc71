"""What Terraform gave reaches the pods."""

import json

import allure
import pytest

from fixtures.environment import Environment
from fixtures.releasing import environment_of_pods


@pytest.mark.readonly
@pytest.mark.quick
def test_terraform_outputs_reach_every_pod(quiet_environment: Environment) -> None:
    """Every replica runs with exactly the variables that Terraform's outputs give."""
    assert quiet_environment.outputs or quiet_environment.settings.environment.provision is None
    for service in quiet_environment.settings.releases:
        pods = environment_of_pods(quiet_environment, service)
        assert pods, f"{service} has no pod"
        got = {
            pod: {name: variables.get(name) for name in quiet_environment.outputs}
            for pod, variables in pods.items()
        }
        allure.attach(json.dumps(got, indent=2), f"{service}: variables", allure.attachment_type.JSON)
        for pod, variables in got.items():
            assert variables == dict(quiet_environment.outputs), f"pod {pod}"

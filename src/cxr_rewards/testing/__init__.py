"""Checks for components and judges' protocols, yours and ours; a judge and models to test with.

- `check_component` runs every check on a component, `check_protocol` on a judge's protocol.
- `parametrize_with_checks` makes a pytest test of each check that `component_checks` or `protocol_checks` returns.
- `cxr_rewards.testing.fake_judge` is a judge on loopback; `cxr_rewards.testing.models` builds tiny random models.
"""

from cxr_rewards.testing.checks import Check, CheckResult, parametrize_with_checks, run_checks
from cxr_rewards.testing.component_rules import check_component, component_checks
from cxr_rewards.testing.protocol_rules import Protocol, check_protocol, protocol_checks
from cxr_rewards.testing.sample_cases import SAMPLE_CASES

__all__ = [
    "SAMPLE_CASES",
    "Check",
    "CheckResult",
    "Protocol",
    "check_component",
    "check_protocol",
    "component_checks",
    "parametrize_with_checks",
    "protocol_checks",
    "run_checks",
]

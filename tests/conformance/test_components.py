"""Every registered component keeps every rule of a component."""

from __future__ import annotations

import pytest

from cxr_rewards.core.registry import component_names, load_component, missing_modules, pip_line
from cxr_rewards.judges.component import JudgeComponent
from cxr_rewards.testing import SAMPLE_CASES, component_checks
from cxr_rewards.testing.component_rules import COMPONENT_RULES

FEWER = {"radfact_official": [SAMPLE_CASES[i] for i in (1, 2, 7, 11, 13)]}
"""Of the judge that asks a question in YAML for each phrase of both reports: right, wrong, empty, hostile, unscorable."""
NEEDED = {"external": {"metric": "tests.conformance.test_components:overlap"}}


def overlap(candidates, references):
    return [len(set(a.split()) & set(b.split())) for a, b in zip(candidates, references, strict=True)]


@pytest.fixture(scope="module")
def known_checks():
    """The checks of the components so far, by name: all checks of one component share its scores."""
    return {}


@pytest.fixture
def checks(name, known_checks, models, minilm, judge, prompts, tmp_path_factory):
    """The checks of the component `name`, by their names."""
    if name == "crimson_official" and missing_modules(load_component(name)):
        pytest.skip(f"crimson-score is not installed: {pip_line(load_component(name))}")
    if name not in known_checks:
        component, alternatives = component_and_alternatives(name, minilm, judge, tmp_path_factory)
        cases = FEWER.get(name, SAMPLE_CASES)
        made = component_checks(component, alternatives=alternatives, cases=cases)
        known_checks[name] = {check.name: check for check in made}
    return known_checks[name]


@pytest.mark.parametrize("rule", [rule.__name__ for rule in COMPONENT_RULES])
@pytest.mark.parametrize("name", component_names())
def test_component_conforms(name, rule, checks):
    checks[rule]()


def component_and_alternatives(name, minilm, judge, tmp_path_factory):
    cls = load_component(name)
    settings = {"model": str(minilm)} if name == "sentence_set" else NEEDED.get(name, {})
    component = cls(**settings)
    same = {"device": "cpu", "batch_tokens": 300, "idf_corpus": "", "model": getattr(component, "model", "")}
    other = {"metric": "difflib:get_close_matches", "options": '{"cutoff": 0.5}', "low": -1.0, "high": 1e6}
    if name == "bertscore":
        component = cls(baseline=0.5)  # of any measure and layer
    if issubclass(cls, JudgeComponent):
        template = tmp_path_factory.mktemp(name) / "template.txt"
        template.write_text(
            f"--- system\nTask: {name}. By these criteria\n- accuracy: x\n--- user\n{{{{reference}}}} {{{{candidate}}}}"
        )
        component = cls(temperature=0.5)  # so that several votes may be
        same = {
            "model": "other",
            "base_url": f"{judge.url}/",
            "template": "",
            "api_key_file": "/nowhere",
            "model_urls": (),
        }
        # As many as not to wait for.
        other = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "budget_calls", "budget_tokens"), 10**9)
        other |= {"usd_per_million_input": 0.5, "budget_usd": 0.0, "top_p": 0.5, "vote": "mean", "structured": "off"}
        other |= {"models": ("other", "another")}
        other |= {"criteria": ("a: one", "b: two"), "low": -1.0, "high": 20.0, "extra_body": '{"top_k": 1}'}
        other |= {"repetition_penalty": 1.1, "guidelines": "on", "endpoint": "chat"}
    known = {key: value for key, value in {**same, **other}.items() if key in cls.settings()}
    if name in ("radgraph_f1", "radgraph_combined"):
        del known["model"]  # another model, not the same at another place
    return component, known

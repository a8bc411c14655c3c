"""verifiers scores rollouts with our functions; run by `make test-verifiers`, with a release that has rubrics and a newer."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import pytest

pytest.importorskip("verifiers")

REFERENCE = "Small left pleural effusion."
REPORTS = (REFERENCE, "Large right pneumothorax.", "<think>Hm.</think>Left effusion.", "Clear lungs.")
OPTIONS = {"config": "rules", "unscored": -5.0}


def expected():
    from cxr_rewards import CompositeReward

    texts = [text.rpartition("</think>")[2] for text in REPORTS]
    return CompositeReward().score_batch(candidates=texts, references=[REFERENCE] * 4, priors=[["Clear lungs."]] * 4)


@pytest.mark.skipif(version("verifiers") >= "0.4", reason="0.4 has no rubrics")
def test_a_rubric_scores_a_group():
    import verifiers as vf

    from cxr_rewards.adapters.verifiers import reward_funcs

    funcs, weights = reward_funcs(**OPTIONS)
    rubric = vf.Rubric(funcs=funcs, weights=weights)
    answers = [REFERENCE, REFERENCE, REFERENCE, " "]
    states = [
        vf.State(
            input={"prompt": "Report.", "answer": answer, "info": {"priors": ["Clear lungs."]}, "example_id": 0},
            prompt="Report.", completion=[{"role": "assistant", "content": text}], trajectory=[],
        )
        for text, answer in zip(REPORTS, answers, strict=True)
    ]  # fmt: skip
    asyncio.run(rubric.score_group(states))
    for state, reward in zip(states[:3], expected(), strict=False):
        assert state["reward"] == pytest.approx(reward.value)
        for label, part in reward.parts.items():
            assert state["metrics"][label] == pytest.approx(part.value)
    assert states[3]["reward"] == -5.0
    assert states[3]["metrics"]["unscored"] == 1.0


def test_a_task_scores_a_trace():
    import verifiers.v1 as vf
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask
    from verifiers.v1.types import AssistantMessage

    from cxr_rewards.adapters.verifiers import score_trace

    class ReportData(vf.TaskData):
        reference: str
        priors: list[str]

    class ReportTask(vf.Task[ReportData, vf.State]):
        @vf.reward
        async def report(self, trace) -> float:
            return await score_trace(trace, self.data, **OPTIONS)

    async def scored(text, reference=REFERENCE):
        data = ReportData(prompt="Report.", reference=reference, priors=["Clear lungs."])
        task = ReportTask(data)
        trace = Trace.model_construct(
            task=TraceTask(type="ReportTask", data=data), agent=AgentInfo.model_construct(config=None), rewards={},
            metrics={}, root_reply=None, nodes=[MessageNode(message=AssistantMessage(content=text), sampled=True)],
        )  # fmt: skip
        await task.score(trace)
        return trace

    async def run():
        return await asyncio.gather(*(scored(text) for text in REPORTS), scored("Clear lungs.", " "))

    *traces, lost = asyncio.run(run())
    for trace, reward in zip(traces, expected(), strict=True):
        assert trace.reward == pytest.approx(reward.value)
        for label, part in reward.parts.items():
            assert trace.metrics[label] == pytest.approx(part.value)
    assert lost.reward == -5.0
    assert lost.metrics["unscored"] == 1.0

"""RadCliQ's regression reproduces the published numbers."""

from __future__ import annotations

import pytest

from cxr_rewards.formulas.radcliq import MODELS, Metrics, radcliq


@pytest.mark.parametrize(
    ("metrics", "v0", "v1"),
    [
        (Metrics(1.0, 1.0, 1.0, 1.0), -0.24213342294409346, -1.4406902828047017),
        (Metrics(0.0, 0.0, 0.0, 0.0), 5.516160804, 2.450143083),
        (Metrics(0.5, 0.5, 0.5, 0.5), 2.637013691, 0.504726400),
    ],
)
def test_check_values_are_met(metrics, v0, v1):
    assert radcliq(metrics, "v0") == pytest.approx(v0, abs=1e-9)
    assert radcliq(metrics, "v1") == pytest.approx(v1, abs=1e-9)


@pytest.mark.parametrize(
    ("metrics", "v0", "v1"),
    [
        # Rows of ReXrank's published table: means of BLEU-2, BERTScore, SembScore and RadGraph, to as many digits.
        (Metrics(0.146, 0.304, 0.331, 0.094), 3.816, 1.437),  # CheXagent on MIMIC-CXR
        (Metrics(0.3397, 0.5421, 0.6355, 0.2704), 2.3472, 0.5000),  # MoERad on IU X-ray
    ],
)
def test_published_rows_follow_from_their_means(metrics, v0, v1):
    assert radcliq(metrics, "v0") == pytest.approx(v0, abs=3e-3)
    assert radcliq(metrics, "v1") == pytest.approx(v1, abs=3e-3)


def test_v1_is_this_line_of_the_raw_metrics():
    slopes = [c / s for c, s in zip(MODELS["v1"].coefficients, MODELS["v1"].scale, strict=True)]
    assert slopes[:3] == pytest.approx([-1.24521633, -1.65084533, -0.99477171], abs=1e-8)
    assert radcliq(Metrics(0.0, 0.0, 0.0, 0.0), "v1") == pytest.approx(2.4501430833271307, abs=1e-12)


def test_better_metrics_lower_it():
    base = Metrics(0.4, 0.4, 0.4, 0.4)
    for field in ("radgraph_combined", "bertscore", "semb_score"):
        for version in MODELS:
            assert radcliq(base._replace(**{field: 0.5}), version) < radcliq(base, version)

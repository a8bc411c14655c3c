"""RadCliQ's arithmetic: a linear regression of radiologists' error counts on four metrics.

Yu et al. 2023, "Evaluating progress in automatic chest X-ray radiology report generation" (Patterns 4(9)). Coefficients
are those of the models published with CXR-Report-Metric (github.com/rajpurkarlab/CXR-Report-Metric at 9c9ecad).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Version = Literal["v0", "v1"]


class Metrics(NamedTuple):
    """The metrics that RadCliQ combines, in the order of its coefficients."""

    radgraph_combined: float
    bertscore: float
    semb_score: float
    bleu: float


class Model(NamedTuple):
    """A fitted regression on standardised metrics."""

    coefficients: Metrics
    intercept: float
    mean: Metrics
    scale: Metrics


MODELS: dict[Version, Model] = {
    "v0": Model(
        Metrics(-0.4796252644863446, -0.6762170542369337, -0.46366575161751994, 0.2165861905287535),
        1.641666666666666,
        Metrics(0.5398376019082272, 0.6312549595000001, 0.7716797866672277, 0.4607372064809605),
        Metrics(0.3018344440559102, 0.22466950746141123, 0.24750333805236252, 0.30336670936092264),
    ),
    "v1": Model(
        Metrics(-0.37708368261038905, -0.37030009974480316, -0.25261621789593225, 4.315048405024756e-12),
        2.466552561323256e-10,
        Metrics(0.5379231241355762, 0.6175725628125001, 0.7647942121140658, 0.44738335396242174),
        Metrics(0.3028258411486429, 0.22430938459304575, 0.2539439110169773, 0.2989271671041838),
    ),
}


def radcliq(metrics: Metrics, version: Version) -> float:
    """Return RadCliQ, lower is better: `intercept + sum(coefficient * (metric - mean) / scale)`.

    Example:
        >>> round(radcliq(Metrics(1.0, 1.0, 1.0, 1.0), "v1"), 6), round(radcliq(Metrics(0.0, 0.0, 0.0, 0.0), "v0"), 6)
        (-1.44069, 5.516161)
    """
    model = MODELS[version]
    terms = zip(model.coefficients, metrics, model.mean, model.scale, strict=True)
    return model.intercept + sum(weight * (x - mean) / scale for weight, x, mean, scale in terms)


def inverse_mean(values: Iterable[float | None]) -> float | None:
    """Return 1 / mean of the known values; None if there are none, or if their mean is not above 0.

    Example:
        >>> inverse_mean([0.5, 1.5, None]), inverse_mean([-1.0])
        (1.0, None)
    """
    known = [value for value in values if value is not None]
    total = sum(known)
    return len(known) / total if total > 0 else None

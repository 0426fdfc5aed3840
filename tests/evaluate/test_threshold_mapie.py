"""MAPIE's risk control finds the same thresholds for the first part of the promise, and the second is stricter.

MAPIE tests thresholds in a fixed sequence with exact binomial p-values, and knows nothing of this package. Its promise
is about the long run. It cannot express the second part, which is about another set of the same size.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController

from yanshou.evaluate.threshold import Side, candidates, find_promise, upper_bound

CASES = [
    pytest.param(side, seed, size, limit, confidence, id=f"{side}-{size}-{limit}-{confidence}")
    for seed, (size, limit, confidence) in enumerate(
        [(60, 0.2, 0.9), (150, 0.1, 0.95), (400, 0.05, 0.95), (90, 0.3, 0.8)]
    )
    for side in ("release", "block")
]


def mapie_thresholds(
    side: Side, passes: Sequence[float], fails: Sequence[float], limit: float, confidence: float
) -> list[float]:
    """The thresholds that MAPIE accepts, strictest first.

    It releases from a threshold on. Blocking is releasing with 1 - p_pass: then passes are what must not be released.
    """
    scores = np.array([*passes, *fails])
    labels = np.array([1] * len(passes) + [0] * len(fails))
    order = np.array(list(candidates(scores.tolist(), side)))
    if side == "block":  # a p_pass below P is a negative p_pass above -P: exact, where 1 - p_pass would be rounded
        scores, labels, order = -scores, 1 - labels, np.nextafter(-order, np.inf)
    controller = BinaryClassificationController(
        predict_function=lambda features: np.column_stack([-features[:, 0], features[:, 0]]),
        risk="fpr", target_level=limit, confidence_level=confidence, list_predict_params=order,
        fwer_method="fixed_sequence",
    )  # fmt: skip
    controller.calibrate(scores.reshape(-1, 1), labels)
    return [float(threshold) for threshold in controller.valid_predict_params]


@pytest.mark.parametrize(("side", "seed", "size", "limit", "confidence"), CASES)
@pytest.mark.filterwarnings("ignore:No predict parameters were found:UserWarning")
def test_mapie_accepts_the_same_thresholds_in_the_long_run(
    side: Side, seed: int, size: int, limit: float, confidence: float
) -> None:
    random = np.random.default_rng(seed)
    passes, fails = (random.beta(a, b, size).round(3).tolist() for a, b in ((4, 1.5), (1.5, 4)))
    accepted = mapie_thresholds(side, passes, fails, limit, confidence)
    wrong = fails if side == "release" else passes
    expected = []
    for threshold in candidates([*passes, *fails], side):
        errors = sum(p >= threshold if side == "release" else p < threshold for p in wrong)
        if upper_bound(errors, size, confidence) > limit:
            break
        expected.append(threshold)
    assert expected
    assert len(accepted) == len(expected)
    promise = find_promise(side, passes, fails, limit, confidence)
    if promise.threshold is not None:  # the second part only takes thresholds away
        assert promise.threshold in expected

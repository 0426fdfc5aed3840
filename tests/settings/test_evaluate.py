"""Promises of `yanshou.settings.evaluate`: impossible settings are refused, and the first of them is named."""

import pytest
from pydantic import ValidationError

from yanshou.settings import ThresholdSettings


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"max_false_release": 0.0},
        {"max_false_release": 1.0},
        {"confidence": 1.0},
        {"confidence": 1 - 1e-16},  # no interval can be computed for it
        {"threshold": 0.5, "max_false_release": 0.1},
        {"max_false_block": 0.0},
        {"threshold": 0.5, "max_false_block": 0.1},
        {"pooled": True},
    ],
)
def test_impossible_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        ThresholdSettings.model_validate(options)


def test_reasons_can_be_required_of_a_policy_only() -> None:
    with pytest.raises(ValidationError, match=r"require_grounded.* needs .*max_false_release"):
        ThresholdSettings(require_grounded=True)

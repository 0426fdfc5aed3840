"""Lines of decisions files."""

from typing import Any

from support.lines import TIMESTAMP, key

POLICY = "3c4b" * 16


def decided(group: str, decision: str = "release", label: str | None = None, **more: Any) -> dict[str, Any]:
    """A line as `yanshou judge --policy` writes it."""
    said = {"decision": decision, "reason": "放行", "p_pass": 0.97, "policy": POLICY, "timestamp": TIMESTAMP}
    return {**key(group, label), **said, **more}

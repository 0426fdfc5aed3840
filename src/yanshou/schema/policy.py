"""What `evaluate` promises, as a file: `policy.json`.

    {"format": 1, "yanshou": "0.5.0", "created": "2026-01-18T09:30:00+08:00", "confidence": 0.95, "pooled": false,
     "missions": {"挡风板安装检查": {
         "release": {"limit": 0.03, "threshold": 0.93, "observed": 0, "of": 178, "needed": 134, "why": null},
         "block": null,
         "groups": 620, "human_passes": 442, "human_fails": 178,
         "judge": {"checkpoint": "4f0c…", "prompts": {…}, "dtype": "bfloat16", "engine": "continuous", …},
         "summaries": {"checkpoint": "4f0c…", "photo": {…}, …},
         "trained_on_these": false}},
     "labels": {…}, "only": [{"file": "val.jsonl", "sha256": "…"}], "sha256": "…"}

A group is released if p_pass ≥ release.threshold and blocked if p_pass < block.threshold. What lies between goes to a
person, and so does a group for which both hold. With `require_grounded`, so does a group whose reason does not hold.
"""

import json
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field

from yanshou.schema.records import TIME, GroupRecord, Record

FORMAT: Literal[1] = 1
Decision = Literal["release", "block", "review"]


class PolicySide(Record):
    """The promise of one side: releasing (about human fails) or blocking (about human passes)."""

    limit: float = Field(description="Release: highest share of human fails released. Block: of human passes blocked.")
    threshold: float | None = Field(description="Release: p_pass ≥ threshold. Block: p_pass < threshold. null: none.")
    observed: int = Field(description="Errors on this set at the threshold; without one, at the strictest candidate.")
    of: int = Field(description="Human fails (release) or human passes (block) with a p_pass.")
    needed: int = Field(description="As many suffice if there is no error among them.")
    why: str | None = Field(description="Why there is no threshold; null: there is one.")


class MissionPolicy(Record):
    """Which groups of one mission are released and blocked, and what judged them."""

    release: PolicySide | None = Field(description="null: not asked for.")
    block: PolicySide | None = Field(description="null: not asked for, so nothing is blocked.")
    groups: int = Field(description="Groups of the mission in the evaluation.")
    human_passes: int = Field(description="Those with the human label pass.")
    human_fails: int = Field(description="Those with the human label fail.")
    judge: dict[str, Any] | None = Field(description="Settings and engine that made the verdicts. null: unknown.")
    summaries: dict[str, Any] | None = Field(description="As `judge`, of the Stage-A lines.")
    trained_on_these: Literal[False] | None = Field(
        description="false: by the records of its training, the judge was trained on none of these groups. null: "
        "unknown. There is no policy from groups that it was trained on."
    )

    def decide(self, p_pass: float | None) -> Decision:
        """What happens to a group with this p_pass; None: a person decides."""
        if p_pass is None:
            return "review"
        released = self.release is not None and self.release.threshold is not None and p_pass >= self.release.threshold
        blocked = self.block is not None and self.block.threshold is not None and p_pass < self.block.threshold
        if released == blocked:  # between the thresholds, or where they cross
            return "review"
        return "release" if released else "block"


class FileDigest(Record):
    """A file that a policy rests on."""

    file: str = Field(description="Its name, without the folder.")
    sha256: str = Field(description="Of its bytes.")


class LabelSource(Record):
    """Where the human labels came from."""

    folders: int = Field(description="Groups whose label is that of their folder.")
    corrected: int = Field(description="Groups whose label a labels file changed.")
    files: list[FileDigest] = Field(description="Labels files (--labels).")


class Policy(Record):
    """The content of `policy.json`."""

    format: Literal[1] = Field(description="Version of this file's format.")
    yanshou: str = Field(description="Version of yanshou.")
    created: str = Field(description=TIME)
    confidence: float = Field(description="Of each promise: per mission and per side.")
    pooled: bool = Field(description="Whether all missions share the thresholds (--pooled).")
    missions: dict[str, MissionPolicy] = Field(description="By the mission's name.")
    labels: LabelSource = Field(description="How many labels are the folders', and how many a labels file corrected.")
    only: list[FileDigest] = Field(description="Dataset files to whose groups the evaluation was limited (--only).")
    require_grounded: dict[str, dict[str, Any]] | None = Field(
        default=None,
        description="By mission, the rule under which the reason of a group must hold, or else a person decides about "
        "it. Missing: reasons are not asked for.",
    )
    sha256: str = Field(description="Of this file's content without this key; see `policy_sha256`.")

    def content(self) -> dict[str, Any]:
        """The file's JSON values. Without `require_grounded` where it is None, as before there was this key."""
        values = self.model_dump(mode="json")
        if self.require_grounded is None:
            del values["require_grounded"]
        return values


def policy_sha256(content: dict[str, Any]) -> str:
    """The SHA-256 of a policy's JSON values, without the key sha256: compact JSON in UTF-8, keys sorted."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()


class DecisionRecord(GroupRecord):
    """What happens to one group: one line of `<mission>_decisions.jsonl`."""

    decision: Decision = Field(description="release and block without a person; review: a person decides.")
    reason: str = Field(min_length=1, description="Why, in one line of Chinese.")
    p_pass: float | None = Field(ge=0, le=1, description="As in the verdict.")
    policy: str = Field(pattern="^[0-9a-f]{64}$", description="sha256 of the policy.")
    timestamp: str = Field(description=TIME)

"""Whether a policy is about this run: the judge's settings and engine, and those that made the summaries.

    policy.json: made with other settings. 挡风板安装检查, the judge:
      engine: the policy has "continuous", this run has "transformers"

A Stage-A file whose settings are unknown fits only a policy that was made from such files, which gives a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yanshou.errors import PolicyError
from yanshou.schema.policy import Policy
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths
from yanshou.storage.run_identity import run_identity
from yanshou.storage.settings_diff import differences

NEW_POLICY = "or make a policy for these: judge groups with human labels, then `yanshou evaluate --max-false-release`."


@dataclass(frozen=True, slots=True)
class PolicyComparison:
    """A policy and the run of one mission that it shall decide about."""

    path: Path  # of the policy
    policy: Policy
    mission: str
    stage_a: tuple[Path, ...]  # the files with groups of this mission

    def check(self, judge: Mapping[str, Any], rule: Mapping[str, Any]) -> list[str]:
        """Warnings. Raises PolicyError where the policy was made with another judge, or from other summaries, or asks
        for reasons that hold under another rule.
        """
        expected = self.policy.missions.get(self.mission)
        if expected is None:
            return [f"{self.mission}: {self.path} does not have this mission, so a person decides about all its groups"]
        self._compare("the judge", expected.judge, judge, "this run", "Run with the settings of the policy")
        if self.policy.require_grounded is not None:
            asked = self.policy.require_grounded.get(self.mission, {})
            self._compare("the rule (require_grounded)", asked, rule, "the mission", "Give the mission files of then")
        for file in self.stage_a:
            self._compare(
                f"the summaries ({file})", expected.summaries, stage_a_identity(file), "the file",
                "Summarize with the settings of the policy",
            )  # fmt: skip
        if expected.summaries is not None:
            return []
        return [
            f"{self.mission}: what made the summaries is unknown, of {self.path} and of these files. Nothing shows "
            "that they were made in the same way, and the promise holds only if they were"
        ]

    def _compare(
        self, what: str, expected: Mapping[str, Any] | None, found: Mapping[str, Any] | None, side: str, cure: str
    ) -> None:
        if expected is None and found is None:
            return
        if found is None:
            raise PolicyError(
                f"{self.path}: {self.mission}, {what}: the policy names their settings, and those of the file are "
                f"unknown, because its run.json is missing. Put it back, {NEW_POLICY}"
            )
        if expected is None:
            raise PolicyError(
                f"{self.path}: {self.mission}, {what}: the policy was made from files without a run.json, so its "
                "settings are unknown, and those here are known. Put the run.json back and evaluate again, "
                f"{NEW_POLICY}"
            )
        changes = [(change.key, *change.texts) for change in differences(expected, found)]
        if changes:
            lines = "".join(f"\n  {key}: the policy has {one}, {side} has {other}" for key, one, other in changes)
            raise PolicyError(
                f"{self.path}: made with other settings. {self.mission}, {what}:{lines}\n  {cure}, {NEW_POLICY}"
            )


def stage_a_identity(file: Path) -> dict[str, Any] | None:
    """What made a Stage-A file; None: its run file is missing. Raises DamagedFileError."""
    run = RunPaths.beside(file).run
    return run_identity(read_run_record(run, NEW_POLICY)) if run.exists() else None

"""What a run file holds: which settings and which environments made the lines beside it.

{"format": 1, "yanshou": "0.4.0", "status": "finished", "counts": {"written": 11000, "failed": 2}, "runs": 3,
 "started": "2026-01-18T09:30:00+08:00", "updated": "2026-01-18T14:12:09+08:00",
 "settings": {"checkpoint": "4f0c…", "sampling": {"temperature": 0.0, …}, …},
 "environment": {"device": "cuda:0", …}, "inputs": ["/data/bbu_groups"],
 "earlier_environments": [{"until": "2026-01-18T11:00:00+08:00", "environment": {"device": "cuda:1", …}}]}
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from yanshou.schema.records import TIME, Record

FORMAT: Literal[1] = 1  # goes up with every change that another version would misread
COUNTS_OF_WHOLE_RUNS = ("stale", "elsewhere")  # a limited or interrupted run does not take them
WITHOUT_EFFECT = ("workers", "hosts", "ray")  # of an environment: who answers, on which no line depends
Status = Literal["running", "finished", "interrupted", "stopped"]


class EarlierEnvironment(Record):
    """An environment that made some of the lines before another one took over."""

    until: str = Field(description=f"When another environment took over. {TIME}")
    environment: dict[str, Any] = Field(description="As `environment` of the run file.")


class RunRecord(Record):
    """The settings and environments that made the lines of one file, and how the last run ended."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)  # every key is written

    format: Literal[1] = Field(description="Version of this file's format.")
    yanshou: str = Field(description="Version of yanshou.")
    status: Status = Field(description="Of the last run. If it is running but holds no lock, it was killed.")
    counts: dict[str, int] = Field(
        description="Counts of the last run that came to its end; stale and elsewhere: of the last whole run."
    )
    runs: int = Field(ge=1, description="Number of runs that wrote these lines.")
    started: str = Field(description=f"When the first of these runs started. {TIME}")
    updated: str = Field(description=f"When this file was written. {TIME}")
    settings: dict[str, Any] = Field(description="What decides the lines; a resume needs the same.")
    environment: dict[str, Any] = Field(
        description="Where the last run ran. A resume may differ, and warns where a line may depend on it."
    )
    earlier_environments: list[EarlierEnvironment] = Field(description="Of the lines so far, the oldest first.")
    inputs: list[str] = Field(
        default=[], description="What the lines so far were made from: folders of photos, or Stage-A files."
    )

    def recorded(self) -> dict[str, Any]:
        """Everything that may differ in a resume, which then warns, save for what is WITHOUT_EFFECT."""
        return {"yanshou": self.yanshou, **self.environment}

    def known_inputs(self) -> list[str]:
        """What the lines so far were made from. A run file of version 0.2 names what its last run read."""
        last = self.settings.get("stage_a") or [self.environment.get("input_dir")]
        return self.inputs or [path for path in last if isinstance(path, str)]

    def environments(self) -> list[dict[str, Any]]:
        """The environments of all lines so far, the latest first."""
        return [self.environment, *(one.environment for one in reversed(self.earlier_environments))]

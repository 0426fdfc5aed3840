"""What a run file holds: which settings and which environments made the lines beside it.

{"format": 1, "yanshou": "0.2.0", "status": "finished", "counts": {"written": 11000, "failed": 2}, "runs": 3,
 "begun": "2026-01-18T09:30:00+08:00", "updated": "2026-01-18T14:12:09+08:00",
 "settings": {"checkpoint": "4f0c…", "sampling": {"temperature": 0.0, …}, …},
 "environment": {"device": "cuda:0", …},
 "earlier_environments": [{"until": "2026-01-18T11:00:00+08:00", "environment": {"device": "cuda:1", …}}]}
"""

from typing import Any, Literal

from pydantic import Field

from yanshou.schema.records import Record

FORMAT: Literal[1] = 1  # goes up with every change that another version would misread
Status = Literal["running", "finished", "interrupted", "stopped"]


class EarlierEnvironment(Record):
    """An environment that made some of the lines before another one took over."""

    until: str  # ISO 8601
    environment: dict[str, Any]


class RunRecord(Record):
    """The content of `<mission>_stage_a.run.json` and `<mission>_verdicts.run.json`."""

    format: Literal[1] = FORMAT
    yanshou: str  # version
    status: Status  # "running" while no run holds the lock: the last run was killed
    counts: dict[str, int]  # of the last run that came to its end
    runs: int = Field(ge=1)  # times begun or resumed
    begun: str  # ISO 8601
    updated: str
    settings: dict[str, Any]  # a resume needs the same
    environment: dict[str, Any]  # of the last run; a resume may differ
    earlier_environments: list[EarlierEnvironment]

    def recorded(self) -> dict[str, Any]:
        """Everything that may differ in a resume, which then warns."""
        return {"yanshou": self.yanshou, **self.environment}

    def environments(self) -> list[dict[str, Any]]:
        """The environments of all lines so far, the latest first."""
        return [self.environment, *(one.environment for one in reversed(self.earlier_environments))]

"""Where a line is: `out/挡风板安装检查_stage_a.jsonl:7` in messages."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LinePlace:
    """One line of a file."""

    path: Path
    line: int  # from 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

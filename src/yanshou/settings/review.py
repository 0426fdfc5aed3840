"""`yanshou review` and `yanshou review-export`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from yanshou.settings.base import MissionFileSettings, Settings
from yanshou.text import printable

SEED, SECOND_SHARE = 0, 0.1  # of a new store
NEAR = 0.05
LOOPBACK = "127.0.0.1"

STORE = "SQLite file that holds the answers, for example review.sqlite."


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class QueueSettings(Settings):
    """Which groups are read, and by whom."""

    heading = "Queue"

    audit: Path | None = Field(
        default=None,
        description="Sample that `yanshou audit draw` drew: its groups are read among the others, unmarked. A store "
        "has one audit.",
    )
    all_groups: bool = Field(
        default=False, description="Queue every group of the files, not only possible false releases and doubtful ones."
    )
    near: float = Field(
        default=NEAR,
        ge=0,
        le=1,
        description="A released group is a possible false release if its p_pass is less than this above the highest "
        "one that was not released. A failed group is doubtful if it is less than this below the lowest released one.",
    )
    second_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the groups that two people read (0 to 1), beside those whose answer contradicts the "
        f"folder's label. Fixed when the store is created. Default: {SECOND_SHARE} for a new store.",
    )
    seed: int | None = Field(
        default=None,
        description="Seed of the order of the groups and of the choice of those that two people read. Fixed when the "
        f"store is created. Default: {SEED} for a new store.",
    )


class PageSettings(Settings):
    """The page and who can reach it."""

    heading = "Page"

    open: bool = Field(
        default=False,
        description="Show verdict and reason from the start, except for the groups of the audit, which get a queue of "
        "their own. Such answers do not count as blind.",
    )
    lang: Literal["zh", "en"] = Field(default="zh", description="Language of the page.")
    host: str = Field(
        default=LOOPBACK,
        min_length=1,
        description="Address of this machine on which the page is served; 0.0.0.0 is all of them. An address that "
        "other machines can reach needs --allow-network.",
    )
    port: int = Field(default=8765, ge=0, le=65535, description="Port of the page; 0 takes any free port.")
    allow_network: bool = Field(
        default=False,
        description="Let other machines open the page at --host, without TLS and without passwords. For trusted "
        "networks only.",
    )
    new_links: bool = Field(
        default=False,
        description="Make new links for reviewers and lead; the old ones stop working. Everybody signs in again; "
        "answers stay.",
    )

    @model_validator(mode="after")
    def _network_is_allowed(self) -> Self:
        reached = not is_loopback(self.host)
        if reached and not self.allow_network:
            raise ValueError(
                f"other machines can reach `host` {self.host}, and the page has no TLS and no passwords. On a trusted "
                "network, give `allow_network` with it"
            )
        if self.allow_network and not reached:
            raise ValueError(
                f"`allow_network` needs a `host` that other machines reach, and {self.host} is reached only from this "
                "one. Give this machine's address in the network, or 0.0.0.0"
            )
        return self


class ReviewSettings(PageSettings, QueueSettings, MissionFileSettings):
    """One `yanshou review`."""

    heading = "Input and output"

    files: tuple[Path, ...] = Field(
        default=(),
        description="Files of verdicts (<mission>_verdicts.jsonl) or of decisions (<mission>_decisions.jsonl) whose "
        "groups are added to the store. Without files, the store is opened as it is.",
    )
    store: Path = Field(description=f"{STORE} Created if it does not exist.")
    stage_a: tuple[Path, ...] = Field(
        default=(),
        description="Stage-A file that was judged. May be repeated. Default: the files named in the verdicts' "
        "run.json.",
    )

    @model_validator(mode="after")
    def _about_files(self) -> Self:
        if self.stage_a and not self.files:
            raise ValueError("`stage_a` needs files of verdicts or decisions. Give those, too")
        if self.all_groups and not self.files:
            raise ValueError("`all_groups` is about the groups of files that are added. Give the files, too")
        if self.near != NEAR and not self.files:
            raise ValueError("`near` is about the groups of files that are added. Give the files, too")
        return self


class ReviewExportSettings(Settings):
    """One `yanshou review-export`."""

    store: Path = Field(description="Store of `yanshou review`.")
    output: Path = Field(
        description="Labels file to write (.csv). All answers with their times are written beside it, as "
        "<name>.answers.jsonl."
    )

    @field_validator("output")
    @classmethod
    def _is_csv(cls, output: Path) -> Path:
        if output.suffix != ".csv":
            raise ValueError(f"the name {printable(output.name)} does not end with .csv, as a labels file's does")
        return output

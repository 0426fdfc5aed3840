"""Which groups report.zip holds, and what the page says about those that it leaves out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.report.order import worst_first
from yanshou.report.provenance import common_threshold
from yanshou.report.thumbnails import Thumbnail

PHOTOS = "photos"  # folder in the archive
EDGE = 1600  # pixels of a photo's longer edge
MAX_GROUPS = 500
LOOKED_AT = ("false release", "error", "false block", "review")  # outcomes that a person has to look at


@dataclass(frozen=True)
class Packed:
    """The groups that the archive holds, and what it leaves out."""

    groups: tuple[JudgedGroup, ...]  # worst first
    included: Mapping[str, int]  # outcome → groups in the archive
    left_out: Mapping[str, int]  # outcome → groups that are not

    @classmethod
    def of(cls, evaluation: Evaluation, *, all_groups: bool = False) -> "Packed":
        """Those to be looked at; of new jobs, which have no label, all in the order in which to look. At most 500."""
        ordered = worst_first(evaluation.groups, common_threshold(evaluation))
        labelled = any(group.label for group in ordered)
        wanted = [group for group in ordered if all_groups or not labelled or group.outcome in LOOKED_AT]
        chosen = tuple(wanted if all_groups else wanted[:MAX_GROUPS])
        included = Counter(group.outcome for group in chosen)
        return cls(chosen, included, Counter(group.outcome for group in ordered) - included)

    @property
    def photos(self) -> list[str]:
        """Each photo once, in the order of the groups."""
        return list(dict.fromkeys(photo for group in self.groups for photo in group.images))

    def notes(self, photos: Mapping[str, Thumbnail], texts: Mapping[str, str]) -> list[str]:
        """Sentences about what is in the archive and what is not."""
        states = Counter(photo.state for photo in photos.values())
        included, left_out = sum(self.included.values()), sum(self.left_out.values())
        sentences = [
            texts["packed"].format(
                included=included, groups=included + left_out, kinds=_kinds(self.included, texts) or "–"
            ),
            texts["packed_without"].format(left_out=left_out, kinds=_kinds(self.left_out, texts))
            if left_out
            else texts["packed_whole"],
            texts["packed_photos"].format(photos=states["there"], edge=f"{EDGE:,}"),
        ]
        absent = states["missing"] + states["unreadable"]
        return [*sentences, texts["packed_absent"].format(photos=absent)] if absent else sentences


def _kinds(counts: Mapping[str, int], texts: Mapping[str, str]) -> str:
    """false release 3, no verdict 1"""
    return texts["comma"].join(
        f"{texts['outcome_' + outcome.replace(' ', '_')]} {count}" for outcome, count in counts.items() if count
    )

"""Everything that can go wrong and is not a bug.

    YanshouError
    ├── UsageError            wrong usage: unknown mission, contradictory flags              exit status 2
    ├── RunError              the run cannot go on: nothing to read, nowhere to write        exit status 1
    │   ├── InputError        the input folder, a mission file, a prompt file
    │   ├── CheckpointError   a checkpoint that does not load
    │   ├── DamagedFileError  a file of an earlier run that is not what a run writes
    │   ├── ResumeError       settings differ from those the file was begun with
    │   ├── LockedError       another run holds the output file
    │   └── OutputError       the disk is full, a file cannot be written
    └── GroupError            one group fails, the others go on; also a ValueError           exit status 3 at the end
        ├── GroupFolderError  the folder itself: two folders with one id, photos changed since
        ├── PhotoError        a photo that cannot be read
        ├── GenerationError   the model gave no usable answer: cut off, out of memory
        ├── SummaryError      a check failed: empty summary, 图片_i missing
        └── VerdictError      Stage-B: the answer is not the two lines of a verdict

Messages name the file, line or group, show the value and say what to do. Errors travel up to the command line, which
prints them without a traceback; a traceback is a bug.
"""


class YanshouError(Exception):
    """Base of all errors that a user can cause and cure."""


class UsageError(YanshouError):
    """Wrong usage (exit status 2)."""


class RunError(YanshouError):
    """The run cannot start or go on (exit status 1)."""


class InputError(RunError):
    """The input folder, a mission file or a prompt file cannot be used."""


class CheckpointError(RunError):
    """The checkpoint does not load."""


class DamagedFileError(RunError):
    """A file of an earlier run holds something that no run writes. The message names file and line."""


class ResumeError(RunError):
    """The settings differ from those that the output file was begun with."""


class LockedError(RunError):
    """Another run is writing the same output file."""


class OutputError(RunError):
    """The output cannot be written."""


class GroupError(YanshouError, ValueError):
    """A fault of one group: reported with the group's name, the other groups go on.

    `step` names the stage of the work for the errors file; `advice` says what to do about it.
    """

    step = "group"

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class GroupFolderError(GroupError):
    """The group's folder is at fault: an id used twice, photos that changed after the line was written."""

    step = "discover"


class PhotoError(GroupError):
    """A photo that cannot be decoded completely."""

    step = "load"


class GenerationError(GroupError):
    """The model gave no usable answer for a photo."""

    step = "generate"


class SummaryError(GroupError):
    """A summary did not pass the checks."""

    step = "check"


class VerdictError(GroupError):
    """The model's answer is not the two lines of a verdict."""

    step = "verdict"

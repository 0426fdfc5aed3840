"""All errors that are not bugs.

    YanshouError
    ├── UsageError            wrong usage: unknown mission, contradictory flags              exit status 2
    ├── RunError              the run cannot start or continue                               exit status 1
    │   ├── InputError        the input folder, a mission file, a prompt file
    │   ├── CheckpointError   a checkpoint that does not load
    │   ├── DamagedFileError  a file of an earlier run that no run of this version would write
    │   ├── ResumeError       the settings differ from those that made the lines on disk
    │   ├── PolicyError       a policy that was made with other settings than this run's
    │   ├── LockedError       another run holds the output file
    │   └── OutputError       a file cannot be written: full disk, missing permission
    └── GroupError            one group fails, the others continue; also a ValueError        exit status 3 at the end
        ├── GroupFolderError  the folder: two folders with one id, photos changed after the line was written
        ├── PhotoError        a photo that cannot be read
        ├── GenerationError   no usable answer: cut off, repeating itself, out of memory
        ├── WorkerError       with --workers: a request over which one worker after the other dies
        ├── SummaryError      a summary that fails a check: empty, 图片_i missing
        └── VerdictError      Stage-B: an answer that is not the two lines of a verdict

Messages name the file, line or group, show the value and say what to do. The command line catches errors and prints
them without a traceback; a traceback is a bug.
"""


class YanshouError(Exception):
    """Base of all errors that a user can cause and repair."""


class UsageError(YanshouError):
    """Wrong usage (exit status 2)."""


class RunError(YanshouError):
    """The run cannot start or continue (exit status 1)."""


class InputError(RunError):
    """The input folder, a mission file or a prompt file cannot be used."""


class CheckpointError(RunError):
    """The checkpoint does not load."""


class DamagedFileError(RunError):
    """A file of an earlier run holds something that no run of this version writes. The message names file and line."""


class ResumeError(RunError):
    """The settings differ from those that made the lines so far, or these are not known."""


class PolicyError(RunError):
    """The policy is not about what this run does: other settings, other summaries."""


class LockedError(RunError):
    """Another run is writing the same output file."""


class OutputError(RunError):
    """The output cannot be written."""


class GroupError(YanshouError, ValueError):
    """One group fails: the errors file names it, and the other groups continue.

    `step` is the step of the work that failed, for the errors file; `advice` says what to do about it.
    """

    step = "group"

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class GroupFolderError(GroupError):
    """The group's folder is at fault: two folders with one id, photos that changed after the line was written."""

    step = "discover"


class PhotoError(GroupError):
    """A photo that cannot be decoded completely."""

    step = "load"


class GenerationError(GroupError):
    """The model gave no usable answer."""

    step = "generate"


class WorkerError(GroupError):
    """Workers die over the request, the last one while it has nothing else to do."""

    step = "worker"


class SummaryError(GroupError):
    """A summary fails a check."""

    step = "check"


class VerdictError(GroupError):
    """The model's answer is not the two lines of a verdict."""

    step = "verdict"

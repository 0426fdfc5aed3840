"""Reads `policy.json`, which `yanshou evaluate` writes: whole, of this version's format, and not edited since."""

from pathlib import Path

from pydantic import ValidationError

from yanshou.errors import DamagedFileError, InputError
from yanshou.schema.policy import FORMAT, Policy, policy_sha256
from yanshou.storage.jsonl import read_object
from yanshou.validation import validation_message

AGAIN = "Restore the file as `yanshou evaluate` wrote it, or make it again with `yanshou evaluate --max-false-release`."
KEYS = {"format", "missions", "confidence", "sha256"}


def read_policy(path: Path) -> Policy:
    """The policy. Raises InputError for a file that is none, DamagedFileError for one that is damaged or edited."""
    if path.suffix == ".jsonl":
        raise InputError(f"{path} is a file of lines, not a policy. Give the policy.json of `yanshou evaluate`.")
    content = read_object(path, AGAIN)
    if not KEYS & content.keys() - {"format"}:  # run files and cards have a format, too
        raise InputError(f"{path} is not a policy. Give the policy.json of `yanshou evaluate --max-false-release`.")
    if content.get("format") != FORMAT:
        raise DamagedFileError(
            f"{path} was written by another version of yanshou (format {content.get('format', 'missing')}, this "
            f"version reads {FORMAT}). Use that version, or make it again with `yanshou evaluate --max-false-release`."
        )
    if (written := content.get("sha256")) != (now := policy_sha256(content)):
        raise DamagedFileError(
            f"{path} was changed after `yanshou evaluate` wrote it: its key sha256 is {str(written)[:12]}…, its "
            f"content has {now[:12]}…. A promise holds only for the thresholds that were computed. {AGAIN}"
        )
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise DamagedFileError(f"{path}: {validation_message(error)}. {AGAIN}") from error

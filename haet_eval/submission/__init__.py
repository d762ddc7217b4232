"""The submissions of contestants: written from a template, packed, and read again as untrusted files."""

from haet_eval.archive import ArchiveLimits, pack
from haet_eval.submission.loading import Submission, load_submission

__all__ = ["ArchiveLimits", "Submission", "load_submission", "pack"]

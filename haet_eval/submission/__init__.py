"""What contestants hand in: written from a template, packed, and read again as a stranger's."""

from haet_eval.archive import ArchiveLimits, pack
from haet_eval.submission.loading import Submission, load_submission

__all__ = ["ArchiveLimits", "Submission", "load_submission", "pack"]

"""Strangers' zip archives, read in memory: hostile until checked, and never written to the disk."""

from haet_eval.archive.folder import pack_folder
from haet_eval.archive.limits import ArchiveLimits
from haet_eval.archive.pack import compress, pack
from haet_eval.archive.unpack import unpack

__all__ = ["ArchiveLimits", "compress", "pack", "pack_folder", "unpack"]

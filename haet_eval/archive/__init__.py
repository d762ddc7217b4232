"""Untrusted zip archives, read in memory: hostile until checked, and never written to the disk."""

from haet_eval.archive.folder import pack_folder
from haet_eval.archive.limits import ArchiveLimits
from haet_eval.archive.litter import is_litter
from haet_eval.archive.pack import pack, pack_compressed
from haet_eval.archive.unpack import unpack

__all__ = ["ArchiveLimits", "is_litter", "pack", "pack_compressed", "pack_folder", "unpack"]

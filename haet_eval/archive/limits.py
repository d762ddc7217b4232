"""How much an archive may hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Upper bounds, all inclusive.

    Attributes:
        archive_bytes: size of the zip file itself.
        unpacked_bytes: sum of the sizes of the files in it.
        file_bytes: size of one file in it.
        entries: files and folders, counted as the zip lists them.
        expansion: bytes that one compressed byte may become (text reaches about 20; deflate ends at 1032).
        path_characters: length of an entry's name.
        path_depth: folders and file in one name.
    """

    archive_bytes: int = 256 * 1024
    unpacked_bytes: int = 1024 * 1024
    file_bytes: int = 1024 * 1024
    entries: int = 200
    expansion: int = 200
    path_characters: int = 200
    path_depth: int = 10

"""Names of files: the type that one stands for, and one that is safe to create here."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import Mapping
from pathlib import PurePath

__all__ = ["CONTENT_TYPES", "guess_content_type", "safe_filename"]

CONTENT_TYPES: Mapping[str, str] = {
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".heic": "image/heic",
    ".jfif": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rtf": "application/rtf",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The files that chats carry by default, according to the Administrator Guide, and their types.

An administrator can allow more.
"""

_LONGEST = 200
"""Bytes of a name. File systems take 255; this leaves room for a number."""

_LONGEST_SUFFIX = 20

# Windows' separators and wildcards, so that a name is safe wherever the file is taken.
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_SEPARATORS = re.compile(r"[/\\]")
# Control characters, those that reverse the direction of what is shown, lone surrogates, private
# ones, and those that end a line.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.I)


def guess_content_type(name: str) -> str:
    """Return the MIME type that a file's name stands for."""
    suffix = PurePath(name).suffix.lower()
    return CONTENT_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def safe_filename(name: str) -> str:
    """Return a name like ``name``, which somebody else chose, that is safe to create in a folder.

    It has no separators, so that it cannot lead out of the folder; no characters that cannot be
    seen, which could make ``annexe⟨reversed⟩gpj.exe`` look like a picture; none that a common
    system gives a meaning; is not hidden; is no device of Windows'; and has 200 bytes at most,
    its suffix among them.
    """
    last = _SEPARATORS.split(unicodedata.normalize("NFC", name))[-1]
    seen = "".join(char for char in last if unicodedata.category(char) not in _INVISIBLE)
    bare = _FORBIDDEN.sub("_", seen).strip().lstrip(".~ ").rstrip(". ")
    if _DEVICES.fullmatch(bare):
        bare = f"_{bare}"
    return _shorten(bare) or "attachment"


def _shorten(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    suffix = PurePath(name).suffix.encode()
    if len(suffix) > _LONGEST_SUFFIX:
        suffix = b""
    stem = encoded[: _LONGEST - len(suffix)].decode(errors="ignore").rstrip(". ")
    return stem + suffix.decode()

"""Names that somebody else chose."""

from __future__ import annotations

import pytest

from connect_chat.filenames import CONTENT_TYPES, guess_content_type, safe_filename


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Invoice 7.pdf", "Invoice 7.pdf"),
        ("Übersicht – 見積.xlsx", "Übersicht – 見積.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\a.dll", "a.dll"),
        ("a/b\\c.txt", "c.txt"),
        ("", "attachment"),
        ("..", "attachment"),
        ("folder/", "attachment"),
        ("\x00\n\u202e\u200b", "attachment"),
        (".ssh", "ssh"),
        ("...~.hidden.txt", "hidden.txt"),
        ("a.txt. . ", "a.txt"),
        ("annexe\u202egpj.exe", "annexegpj.exe"),
        ('a<b>:"c"|d?*.txt', "a_b___c__d__.txt"),
        ("file:stream.txt", "file_stream.txt"),
        ("con", "_con"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("com1 .txt", "_com1 .txt"),
        ("lpt³", "_lpt³"),
        ("console.log", "console.log"),
        (".\u202eNUL", "_NUL"),
        ("\ud800.txt", "txt"),
        ("e\u0301.txt", "é.txt"),
    ],
)
def test_a_name_is_made_safe(name: str, safe: str) -> None:
    """No way out of the folder, nothing hidden, nothing that a system takes for something else."""
    assert safe_filename(name) == safe
    assert safe_filename(safe) == safe


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("n" * 300 + ".pdf", ".pdf"), ("見" * 300 + ".pdf", ".pdf"), ("a." + "x" * 300, "x")],
)
def test_a_name_is_short_enough_for_any_file_system(name: str, suffix: str) -> None:
    """In bytes rather than characters, and with its suffix."""
    safe = safe_filename(name)
    assert 190 < len(safe.encode()) <= 200
    assert safe.endswith(suffix)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        *((f"a{suffix.upper()}", content_type) for suffix, content_type in CONTENT_TYPES.items()),
        ("a.zip", "application/zip"),
        ("a.unheard-of", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ],
)
def test_a_type_is_told_by_the_suffix(name: str, content_type: str) -> None:
    """The documented ones whatever this system knows; others as it knows them."""
    assert guess_content_type(name) == content_type

"""Which files a chat has, and what the scan has made of them."""

from __future__ import annotations

import pytest

from connect_chat import AttachmentError, SessionOptions, parse_item
from connect_chat.engine.files import Files
from connect_chat.items import Item


def shown(attachment_id: str, status: str, **members: str) -> Item:
    attachment = {"AttachmentId": attachment_id, "Status": status}
    return parse_item({"Type": "ATTACHMENT", "Attachments": [attachment], **members})


def test_a_verdict_stays() -> None:
    """An item that comes late does not take back how the scan has ended."""
    files = Files(SessionOptions())
    files.announced("a")
    assert (files.status("a"), files.verdict("a")) == (None, None)
    files.seen(shown("a", "IN_PROGRESS"))
    assert (files.status("a"), files.verdict("a")) == ("IN_PROGRESS", None)
    files.seen(shown("a", "REJECTED"))
    files.seen(shown("a", "IN_PROGRESS"))
    assert files.verdict("a") == "REJECTED"


def test_what_counts_is_in_this_contact() -> None:
    """Each file once, those under way among them; not those of past contacts or withdrawn."""
    files = Files(SessionOptions(attachments_per_chat=2))
    files.seen(shown("past", "APPROVED", RelatedContactId="before"))
    for status in ("IN_PROGRESS", "APPROVED"):
        files.seen(shown("theirs", status))
    files.announced("failed")
    files.withdrawn("failed")
    files.check(1)
    files.announced("ours")
    with pytest.raises(AttachmentError, match="its 2 attachments"):
        files.check(1)
    files.withdrawn("theirs")  # everybody has been shown it
    with pytest.raises(AttachmentError):
        files.check(1)


def test_memory_is_bounded() -> None:
    """However many files an administrator allows, the oldest are forgotten."""
    files = Files(SessionOptions())
    for number in range(2000):
        files.seen(shown(str(number), "APPROVED"))
    assert files.status("0") is None
    assert files.status("1999") == "APPROVED"

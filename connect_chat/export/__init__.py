"""Transcripts as files: JSON Lines, Markdown, and an HTML page that people like to read."""

from connect_chat.export.writing import TranscriptFormat, export_transcript

__all__ = ["TranscriptFormat", "export_transcript"]

"""Waiting, without decisions: HTTP and one websocket."""

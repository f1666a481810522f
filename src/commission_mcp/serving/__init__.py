"""Serving many callers over HTTP: who they are, what they may send, and the processes that answer."""

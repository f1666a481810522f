"""Conversations on Redis or Valkey: each belongs to one user of one client and is forgotten when nobody goes on."""

from commission_mcp.storage.sessions.message import CONTENT_CHARS_MAX, MESSAGE_CHARS_MAX, Message, Speaker
from commission_mcp.storage.sessions.pages import Page, Session, SessionList, Turn
from commission_mcp.storage.sessions.store import TTL_S_MAX, TTL_S_MIN, SessionLimits, Sessions, open_sessions
from commission_mcp.storage.sessions.trail import Trail

__all__ = [
    "CONTENT_CHARS_MAX",
    "MESSAGE_CHARS_MAX",
    "TTL_S_MAX",
    "TTL_S_MIN",
    "Message",
    "Page",
    "Session",
    "SessionLimits",
    "SessionList",
    "Sessions",
    "Speaker",
    "Trail",
    "Turn",
    "open_sessions",
]

"""Checks of single values: each takes what the operator wrote and answers the value, or says why not.

The words are ours throughout. Pydantic's own would repeat the input, and the input may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from commission_mcp.domain import caller
from commission_mcp.domain.caller import Role
from commission_mcp.errors import Refused
from commission_mcp.settings import replicas, urls

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
UNUSABLE = "setting_unusable"
MASTER_SECRET_LENGTH_MIN = 32
_METRICS_TOKEN_LENGTH_MIN = 16
_TEXT_LENGTH_MAX = 200
_SEALING_KEY = re.compile(r"[0-9a-f]{64}")


def unusable(message: str, fix: str) -> PydanticCustomError:
    """The refusal of one value, in words that are safe to show."""
    return PydanticCustomError(UNUSABLE, "{message}", {"message": message, "fix": fix})


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The known name most like this one, if any is alike."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=likeness)), None)


def lowered(value: object) -> object:
    """Words of a fixed choice may be written in capitals."""
    return value.strip().lower() if isinstance(value, str) else value


def client_id(text: str | None) -> str | None:
    """A well-formed client id, or none."""
    try:
        return None if text is None else caller.client_id(text)
    except Refused as refused:
        raise unusable(refused.problems[0].message, refused.problems[0].fix) from None


def short_text(text: str) -> str:
    """One line of visible text."""
    if not text.strip() or not text.isprintable() or len(text) > _TEXT_LENGTH_MAX:
        raise unusable("This is not one line of text.", f"Write 1 to {_TEXT_LENGTH_MAX} visible characters.")
    return text


def optional_text(text: str | None) -> str | None:
    """One line of visible text, or none."""
    return None if text is None else short_text(text)


def host(text: str) -> str:
    """A host name or address, without scheme or path."""
    if not text.isprintable() or any(character in "/@? " for character in text):
        raise unusable("This is not the name or address of a host.", "Write it alone, such as 127.0.0.1 or localhost.")
    return text


def absolute(path: Path) -> Path:
    """A path that does not depend on the current directory."""
    if not path.is_absolute():
        raise unusable("This is not an absolute path.", "Write the whole path, from the root or from ~.")
    return path


def roles(value: object) -> object:
    """Names of roles, separated by commas."""
    if not isinstance(value, str):
        return value
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Role)]
    if not names:
        raise unusable("No role is named.", f"Use some of: {', '.join(Role)}.")
    if unknown:
        raise unusable(_unknown_roles(unknown), f"Use some of: {', '.join(Role)}.")
    return frozenset(Role(name) for name in names)


def postgres_url(secret: SecretStr | None) -> SecretStr | None:
    """The address of a PostgreSQL database."""
    return _server(secret, urls.POSTGRES_SCHEMES)


def redis_url(secret: SecretStr | None) -> SecretStr | None:
    """The address of a Redis or Valkey server, sentinel group or cluster."""
    return _server(secret, urls.REDIS_SCHEMES)


def replica_urls(value: object) -> object:
    """The addresses of the read replicas."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        return value
    fix = "Write addresses separated by commas, each alone or as client-id=postgresql://..."
    try:
        return replicas.parse(text)
    except Refused as refused:
        raise unusable("An entry does not begin with a client id.", refused.problems[0].fix) from None
    except ValueError as error:
        raise unusable(str(error), fix) from None


def words(value: object) -> object:
    """Words separated by commas."""
    if not isinstance(value, str):
        return value
    found = frozenset(word.strip() for word in value.split(",") if word.strip())
    if any(" " in word or not word.isprintable() for word in found):
        raise unusable("A word holds a space or an invisible character.", "Separate the words by commas.")
    return found


def renames(value: object) -> object:
    """``theirs=ours`` entries, separated by commas."""
    if not isinstance(value, str):
        return value
    found = [entry.strip() for entry in value.split(",") if entry.strip()]
    pairs = [entry.rpartition("=") for entry in found]
    if any(not theirs.strip() or not ours.strip() for theirs, _, ours in pairs):
        raise unusable("An entry does not say what becomes what.", "Write theirs=ours, separated by commas.")
    if len({theirs.strip() for theirs, _, _ in pairs}) < len(pairs):
        raise unusable("Two entries rename the same thing.", "Leave one of them out.")
    return frozenset(f"{theirs.strip()}={ours.strip()}" for theirs, _, ours in pairs)


def keys_url(text: str | None) -> str | None:
    """The address of a key set, which nobody between may change."""
    url = base_url(text)
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise unusable("Keys that travel without encryption can be exchanged.", "Write https://host/path.")
    return url


def token(secret: SecretStr | None) -> SecretStr | None:
    """A signed token, as it stands in one line."""
    if secret is not None and any(mark.isspace() for mark in secret.get_secret_value().strip()):
        raise unusable("A token has no blanks or line ends within.", "Write the token alone, without `Bearer`.")
    return secret


def token_key(secret: SecretStr | None) -> SecretStr | None:
    """A key for signing that cannot be guessed."""
    return master_secret(secret)


def metrics_token(secret: SecretStr | None) -> SecretStr | None:
    """A token that is long enough for numbers."""
    if secret is not None and len(secret) < _METRICS_TOKEN_LENGTH_MIN:
        fix = "Make one with: openssl rand -hex 16"
        raise unusable(f"The token has fewer than {_METRICS_TOKEN_LENGTH_MIN} characters.", fix)
    return secret


def base_url(text: str | None) -> str | None:
    """The address of a web service that carries no credential."""
    if text is None:
        return None
    if fault := urls.fault(text, urls.HTTP_SCHEMES):
        raise unusable(fault, "Write https://host:port/path.")
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None or parts.query:
        raise unusable(
            "The address carries a login or parameters.", "Write it bare; the token is a setting of its own."
        )
    return text.rstrip("/")


def master_secret(secret: SecretStr | None) -> SecretStr | None:
    """A secret that cannot be guessed."""
    if secret is not None and len(secret) < MASTER_SECRET_LENGTH_MIN:
        raise unusable(
            f"The secret has fewer than {MASTER_SECRET_LENGTH_MIN} characters.",
            "Make one with: openssl rand -hex 32",
        )
    return secret


def sealing_keys(secret: SecretStr | None) -> SecretStr | None:
    """Keys of 32 bytes in hexadecimal digits, none of them twice."""
    if secret is None:
        return None
    keys = [key.strip().lower() for key in secret.get_secret_value().split(",")]
    fix = "Make one with: openssl rand -hex 32"
    if not all(_SEALING_KEY.fullmatch(key) for key in keys):
        raise unusable("A key is not 64 hexadecimal digits.", fix)
    if len(set(keys)) < len(keys):
        raise unusable("A key stands there twice.", fix)
    return secret


def _server(secret: SecretStr | None, schemes: Collection[str]) -> SecretStr | None:
    if secret is None:
        return None
    url = secret.get_secret_value().strip()
    if fault := urls.fault(url, schemes):
        raise unusable(fault, urls.remedy(schemes))
    return SecretStr(url)


def _unknown_roles(names: list[str]) -> str:
    likely = [(name, nearest(name, Role)) for name in names]
    return " ".join(f"{name[:40]!r} is no role{f'; did you mean {near}?' if near else '.'}" for name, near in likely)

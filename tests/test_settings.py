"""What an operator may write, what counts, and what is refused with which words."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from commission_mcp.domain.caller import Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.settings import Loaded, Settings, describe, load_settings
from commission_mcp.settings.reporting import reference
from commission_mcp.settings.urls import MASK

OLDER_ENV = """\
# Flask Configuration
FLASK_SECRET_KEY=your-super-secure-secret-key-here
FLASK_ENV=development
FLASK_DEBUG=True

# API Configuration
BACKEND_API_BASE_URL=https://localhost:8081
JWT_TOKEN=your-jwt-token-if-needed

# Database Configuration
DB_HOST=localhost
DB_PORT=5432
DB_NAME=commission_dashboard
DB_USER=your_db_user
DB_PASSWORD=your_db_password

# Redis Configuration (NEW)
REDIS_HOST=localhost
REDIS_PORT=6379
REDIS_PASSWORD=your_redis_password  # Optional, leave empty if no auth
REDIS_DB=0
REDIS_SSL=false
CHAT_HISTORY_TTL=3600  # 1 hour in seconds
REDIS_CONNECTION_POOL_SIZE=10

# MCP Configuration
MCP_SERVER_HOST=localhost
MCP_SERVER_PORT=5000
MCP_CLIENT_TIMEOUT=30

# RAG Configuration
DOCUMENTS_FOLDER=data
MODEL_CACHE_DIR=model
EMBEDDING_MODEL=sentence-transformers/all-MiniLM-L6-v2
CHUNK_SIZE=800
CHUNK_OVERLAP=100

# Client-Specific Configuration (NEW)
ENABLE_CLIENT_FILTERING=true
CLIENT_DATA_ISOLATION=strict
DEFAULT_CLIENT_ID=default
CLIENT_DOCUMENT_PATH=data/client-specific
"""
PRIMARY = "postgresql://app:pw@primary/commissions"
# Stands for a secret, and must appear in nothing that is shown.
MARKER = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test begins in a directory without an env file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(
    environment: Mapping[str, str] | None = None,
    file: str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    """Load from an environment of these names only, and from this `.env`."""
    if file is not None:
        Path(".env").write_text(file, encoding="utf-8")
    return load_settings(environment={"HOME": "/home/ada", **(environment or {})}, overrides=overrides)


def refused(
    environment: Mapping[str, str] | None = None,
    file: str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[Problem, ...]:
    """What loading is refused for."""
    with pytest.raises(Refused) as caught:
        load(environment, file, overrides)
    return caught.value.problems


def places(problems: tuple[Problem, ...]) -> list[tuple[Code, str]]:
    """The codes and paths, in a stable order."""
    return sorted((problem.code, problem.path) for problem in problems)


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret."""
    return None if value is None else value.get_secret_value()


# --- The older dashboard's .env ---


def test_the_older_env_is_understood_whole(empty_directory: Path) -> None:
    loaded = load(file=OLDER_ENV)
    settings = loaded.settings

    assert secret(settings.postgres_url) == (
        "postgresql://your_db_user:your_db_password@localhost:5432/commission_dashboard"
    )
    assert secret(settings.redis_url) == "redis://:your_redis_password@localhost:6379/0"
    assert (settings.history_ttl_s, settings.redis_pool_size) == (3600, 10)
    assert (settings.http_host, settings.http_port, settings.call_timeout_s) == ("localhost", 5000, 30)
    assert settings.documents_directory == empty_directory / "data"
    assert settings.client_documents_directory == empty_directory / "data" / "client-specific"
    assert settings.model_directory == empty_directory / "model"
    assert settings.embedding_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert (settings.chunk_size_chars, settings.chunk_overlap_chars) == (800, 100)
    assert settings.client_id == "default"
    assert settings.backend_api_base_url == "https://localhost:8081"
    assert secret(settings.backend_token) == "your-jwt-token-if-needed"


def test_of_the_older_env_only_flask_has_no_effect() -> None:
    loaded = load(file=OLDER_ENV)

    assert places(loaded.warnings) == [
        (Code.SETTING_IGNORED, ".env:FLASK_DEBUG"),
        (Code.SETTING_IGNORED, ".env:FLASK_ENV"),
        (Code.SETTING_IGNORED, ".env:FLASK_SECRET_KEY"),
    ]
    assert "your-super-secure" not in str(loaded.warnings)


def test_the_origin_of_each_value_is_told() -> None:
    sources = load({"MCP_SERVER_PORT": "6000"}, OLDER_ENV, {"log_level": "debug"}).sources

    assert sources["http_port"] == "environment MCP_SERVER_PORT"
    assert sources["http_host"] == ".env:MCP_SERVER_HOST"
    assert sources["postgres_url"] == ".env:DB_HOST"
    assert sources["log_level"] == "command line"
    assert sources["subject"] == "default"
    assert set(sources) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ENABLE_CLIENT_FILTERING", "false"),
        ("CLIENT_FILTERING_ENABLED", "0"),
        ("CLIENT_DATA_ISOLATION", "relaxed"),
        ("CLIENT_DATA_ISOLATION", "true"),
    ],
)
def test_isolation_cannot_be_switched_off(key: str, value: str) -> None:
    assert places(refused(file=f"{key}={value}\n")) == [(Code.SETTING, f".env:{key}")]
    Path(".env").unlink()
    assert places(refused({key: value})) == [(Code.SETTING, f"environment {key}")]


@pytest.mark.parametrize("value", ["true", "True", "1", "yes", "on", ""])
def test_filtering_may_be_confirmed_in_any_spelling(value: str) -> None:
    assert not load({"ENABLE_CLIENT_FILTERING": value, "CLIENT_FILTERING_ENABLED": value}).warnings


# --- Which value counts ---


def test_the_command_line_goes_before_the_environment_before_the_file_before_the_default() -> None:
    file, variables, line = "COMMISSION_HTTP_PORT=1\n", {"COMMISSION_HTTP_PORT": "2"}, {"http_port": 3}

    assert load().settings.http_port == 8000
    assert load(file=file).settings.http_port == 1
    assert load(variables, file).settings.http_port == 2
    assert load(variables, file, line).settings.http_port == 3


def test_an_older_name_in_the_environment_goes_before_the_own_name_in_the_file() -> None:
    assert load({"MCP_SERVER_PORT": "2"}, "COMMISSION_HTTP_PORT=1\n").settings.http_port == 2


def test_the_own_name_goes_before_the_older_one_and_a_conflict_is_told() -> None:
    loaded = load(file="MCP_SERVER_PORT=1\nCOMMISSION_HTTP_PORT=2\n")

    assert loaded.settings.http_port == 2
    assert places(loaded.warnings) == [(Code.SETTING_IGNORED, ".env:MCP_SERVER_PORT")]


def test_both_names_with_one_value_are_no_conflict() -> None:
    assert not load(file="MCP_SERVER_PORT=2\nCOMMISSION_HTTP_PORT=2\n").warnings


def test_an_empty_value_is_no_value() -> None:
    loaded = load({"COMMISSION_HTTP_PORT": "", "JWT_TOKEN": " "}, "COMMISSION_HTTP_PORT=1\n", {"http_port": None})

    assert loaded.settings.http_port == 1
    assert loaded.settings.backend_token is None


def test_blanks_around_a_value_do_not_count() -> None:
    loaded = load({"COMMISSION_CLIENT_ID": " client-abc ", "COMMISSION_LOG_LEVEL": " Warning"})

    assert (loaded.settings.client_id, loaded.settings.log_level) == ("client-abc", "warning")


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith("COMMISSION_")]:
        monkeypatch.delenv(key)  # whatever the machine sets
    monkeypatch.setenv("COMMISSION_SUBJECT", "ada")  # the real environment is what is tested

    assert load_settings().settings.subject == "ada"
    assert load().settings.subject == "local"


def test_settings_made_directly_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMISSION_SUBJECT", "ada")  # the real environment is what is tested
    Path(".env").write_text("COMMISSION_SUBJECT=bob\n", encoding="utf-8")

    assert Settings(data_directory=Path("/srv")).subject == "local"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load().settings.http_port = 1


# --- The env file ---


def test_the_env_file_that_is_named_is_read_instead(empty_directory: Path) -> None:
    Path(".env").write_text("COMMISSION_SUBJECT=ada\n", encoding="utf-8")
    file = empty_directory / "conf" / "prod.env"
    file.parent.mkdir()
    file.write_text("COMMISSION_HTTP_PORT=1\nDOCUMENTS_FOLDER=docs\n", encoding="utf-8")

    loaded = load_settings(env_file=file, environment={})

    assert (loaded.settings.http_port, loaded.settings.subject) == (1, "local")
    assert loaded.sources["http_port"] == f"{file}:COMMISSION_HTTP_PORT"
    assert loaded.settings.documents_directory == file.parent / "docs", "relative paths count from the file"


def test_an_env_file_that_is_named_must_exist_and_other_problems_are_told_with_it() -> None:
    with pytest.raises(Refused) as caught:
        load_settings(env_file=Path("none.env"), environment={"COMMISSION_HTTP_PORT": "many"})

    assert places(caught.value.problems) == [
        (Code.SETTING, "environment COMMISSION_HTTP_PORT"),
        (Code.SETTING, "none.env"),
    ]


def test_a_directory_named_env_is_no_env_file() -> None:
    Path(".env").mkdir()

    assert load().sources["subject"] == "default"


def test_a_line_that_is_no_setting_is_refused_by_its_number() -> None:
    problems = refused(file=f"COMMISSION_SUBJECT=ada\n\nDB_PASSWORD='{MARKER}\n")

    assert places(problems) == [(Code.SETTING, ".env:line 3")]
    assert MARKER not in str(Refused(*problems))


def test_an_env_file_that_is_not_text_is_refused() -> None:
    Path(".env").write_bytes(b"COMMISSION_SUBJECT=\xff\xfe\n")

    assert places(refused()) == [(Code.SETTING, ".env")]


def test_nothing_is_expanded_in_a_value() -> None:
    url = secret(load({"PART": "x"}, "DB_HOST=db\nDB_PASSWORD=a${PART}$PART\n").settings.postgres_url)

    assert url == "postgresql://:a%24%7BPART%7D%24PART@db:5432"


def test_exports_quotes_comments_and_a_byte_order_mark_are_understood() -> None:
    settings = load(
        file='\ufeffexport COMMISSION_SUBJECT="ada # l"  # who\nCOMMISSION_CLIENT_ID=abc # which\n'
    ).settings

    assert (settings.subject, settings.client_id) == ("ada # l", "abc")


# --- Names ---


def test_an_unknown_name_of_ours_is_refused_with_the_nearest() -> None:
    (problem,) = refused({"COMMISSION_QUERRY_TIMEOUT": "5"})

    assert (problem.code, problem.path) == (Code.SETTING_UNKNOWN, "environment COMMISSION_QUERRY_TIMEOUT")
    assert "COMMISSION_QUERY_TIMEOUT_MS" in problem.fix


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("COMMISSION_DB_HOST", "DB_HOST"),
        ("commission_http_port", "COMMISSION_HTTP_PORT"),
        ("COMMISSION_HTTP_PORT_FILE", "COMMISSION_HTTP_PORT itself"),
    ],
)
def test_the_name_that_was_meant_is_told(key: str, meant: str) -> None:
    (problem,) = refused(file=f"{key}=\n")

    assert (problem.code, problem.path) == (Code.SETTING_UNKNOWN, f".env:{key}")
    assert meant in problem.fix


def test_a_name_like_no_other_is_refused_without_a_guess() -> None:
    (problem,) = refused({"COMMISSION_ZZZZ": "1"})

    assert problem.code == Code.SETTING_UNKNOWN
    assert "Did you mean" not in problem.fix


def test_an_unknown_option_of_the_command_line_is_refused() -> None:
    assert places(refused(overrides={"http_prot": 1})) == [(Code.SETTING_UNKNOWN, "command line http_prot")]


def test_other_programs_names_in_the_environment_are_ignored() -> None:
    assert not load({"REDIS_HOTS": "x", "PATH": "/bin", "COMMISSION_TEST_CAMPAIGN": "full"}).warnings


def test_a_slip_in_an_older_name_in_the_file_is_told() -> None:
    (warning,) = load(file="REDIS_HOTS=cache\nCOLOUR=blue\n").warnings

    assert (warning.code, warning.path) == (Code.SETTING_LOOKALIKE, ".env:REDIS_HOTS")
    assert "REDIS_HOST" in warning.fix


# --- Addresses from parts ---


def test_special_characters_of_a_login_are_quoted() -> None:
    file = "DB_HOST=db\nDB_USER=a@b\nDB_PASSWORD='p@s/s:w?r#d %+ä'\nDB_NAME=my db/1\n"

    assert secret(load(file=file).settings.postgres_url) == (
        "postgresql://a%40b:p%40s%2Fs%3Aw%3Fr%23d%20%25%2B%C3%A4@db:5432/my%20db%2F1"
    )


@pytest.mark.parametrize(
    ("file", "url"),
    [
        ("DB_HOST=::1\nDB_PORT=5433", "postgresql://[::1]:5433"),
        ("DB_HOST=/run/postgresql\nDB_USER=app", "postgresql://app@%2Frun%2Fpostgresql:5432"),
    ],
)
def test_a_host_may_be_an_address_or_a_socket(file: str, url: str) -> None:
    assert secret(load(file=file).settings.postgres_url) == url


@pytest.mark.parametrize(
    ("file", "url"),
    [
        ("REDIS_HOST=cache\nREDIS_PASSWORD=\n", "redis://cache:6379/0"),
        ("REDIS_HOST=cache\nREDIS_SSL=True\nREDIS_DB=3\nREDIS_PORT=6380\n", "rediss://cache:6380/3"),
        ("REDIS_HOST=cache\nREDIS_PASSWORD=a:b\n", "redis://:a%3Ab@cache:6379/0"),
    ],
)
def test_a_redis_address_is_put_together(file: str, url: str) -> None:
    assert secret(load(file=file).settings.redis_url) == url


def test_a_part_may_stand_in_another_place_and_both_are_told() -> None:
    loaded = load({"DB_PASSWORD": "from-outside"}, "DB_HOST=db\nDB_USER=app\nDB_PASSWORD=inside\n")

    assert secret(loaded.settings.postgres_url) == "postgresql://app:from-outside@db:5432"
    assert loaded.sources["postgres_url"] == ".env:DB_HOST, environment DB_PASSWORD"


def test_an_address_goes_before_parts_in_the_same_place_and_faults_of_the_parts_do_not_matter() -> None:
    loaded = load(file=f"COMMISSION_POSTGRES_URL={PRIMARY}\nDB_HOST=db\nDB_PORT=no\n")

    assert secret(loaded.settings.postgres_url) == PRIMARY
    assert places(loaded.warnings) == [(Code.SETTING_IGNORED, ".env:DB_HOST")]


def test_parts_without_a_host_choose_no_server_and_are_told() -> None:
    loaded = load({"REDIS_PORT": "tcp://10.0.0.1:6379"}, "DB_NAME=x\n")

    assert (loaded.settings.postgres_url, loaded.settings.redis_url) == (None, None)
    assert places(loaded.warnings) == [(Code.SETTING_IGNORED, ".env:DB_NAME")]


@pytest.mark.parametrize("port", ["9" * 5_000, "²", "1_0"])
def test_a_port_is_a_few_digits(port: str) -> None:
    assert places(refused(file=f"DB_HOST=db\nDB_PORT={port}\n")) == [(Code.SETTING, ".env:DB_PORT")]


def test_every_faulty_part_is_told_at_once() -> None:
    file = "DB_HOST=http://db?x\nDB_PORT=0\nREDIS_HOST=r\nREDIS_PORT=70000\nREDIS_DB=-1\nREDIS_SSL=maybe\n"

    assert places(refused(file=file)) == [
        (Code.SETTING, f".env:{key}") for key in ("DB_HOST", "DB_PORT", "REDIS_DB", "REDIS_PORT", "REDIS_SSL")
    ]


# --- Addresses ---


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "rediss://user:pw@cache:6380/1",
        "unix:///run/valkey.sock?db=1",
        "redis+sentinel://:pw@one:26379,two:26379/main/0",
        "redis+cluster://one:7000,[::1]:7001",
    ],
)
def test_every_form_of_redis_address_is_taken(url: str) -> None:
    assert secret(load({"COMMISSION_REDIS_URL": url}).settings.redis_url) == url


@pytest.mark.parametrize(
    "url",
    [
        "postgres://db/x",
        "postgresql://a:b@one:5432,two:5433/x?target_session_attrs=read-write",
        "postgresql:///x?host=/run/postgresql",
    ],
)
def test_every_form_of_postgres_address_is_taken(url: str) -> None:
    assert secret(load({"COMMISSION_POSTGRES_URL": url}).settings.postgres_url) == url


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://app:{MARKER}@db/x",
        f"postgresql+psycopg://app:{MARKER}@db/x",
        f"app:{MARKER}@db/x",
        f"postgresql://app:{MARKER}/5@db/x",
        f"postgresql://app:12/{MARKER}@db/x",
        f"postgresql://app:12#{MARKER}@db/x",
        f"postgresql://app:12?{MARKER}@db/x",
        f"postgresql://app:{MARKER}@db:99999/x",
        f"postgresql://app:{MARKER}@/x",
        f"postgresql://app:{MARKER}@:5432/x",
        f"postgresql://app:{MARKER} x@db/x",
        f"postgresql://app:{MARKER}@[::1/x",
    ],
)
def test_a_faulty_address_is_refused_without_repeating_it(url: str) -> None:
    problems = refused({"COMMISSION_POSTGRES_URL": url})

    assert places(problems) == [(Code.SETTING, "environment COMMISSION_POSTGRES_URL")]
    assert MARKER not in str(Refused(*problems))


@pytest.mark.parametrize("url", ["ftp://api", "https://user:pw@api", "https://api?token=x", "https://", "api:80"])
def test_the_backend_address_is_bare_http(url: str) -> None:
    assert places(refused({"BACKEND_API_BASE_URL": url})) == [(Code.SETTING, "environment BACKEND_API_BASE_URL")]


# --- Replicas ---


def test_a_client_may_have_a_replica_of_its_own() -> None:
    replicas = load(
        {
            "COMMISSION_POSTGRES_URL": PRIMARY,
            "COMMISSION_POSTGRES_REPLICA_URLS": "postgresql://one,two/x?sslmode=require, client-abc=postgres://own/x",
        }
    ).settings.postgres_replica_urls

    assert secret(replicas.of("client-abc")) == "postgres://own/x"
    assert secret(replicas.of("client-xyz")) == "postgresql://one,two/x?sslmode=require"


def test_without_a_default_replica_other_clients_read_the_primary() -> None:
    replicas = load(
        {"COMMISSION_POSTGRES_URL": PRIMARY, "COMMISSION_POSTGRES_REPLICA_URLS": "default=postgres://own/x"}
    ).settings.postgres_replica_urls

    assert replicas.of("client-abc") is None
    assert secret(replicas.of("default")) == "postgres://own/x"


@pytest.mark.parametrize(
    "text",
    [
        "postgres://a/x,postgres://b/x",
        "abc=postgres://a/x,abc=postgres://b/x",
        "abc=mysql://a/x",
        "ABC=postgres://a/x",
        "postgres://a/x,b=c",
        "localhost",
    ],
)
def test_faulty_replicas_are_refused(text: str) -> None:
    problems = refused({"COMMISSION_POSTGRES_URL": PRIMARY, "COMMISSION_POSTGRES_REPLICA_URLS": text})

    assert places(problems) == [(Code.SETTING, "environment COMMISSION_POSTGRES_REPLICA_URLS")]


def test_a_replica_needs_a_primary() -> None:
    problems = refused({"COMMISSION_POSTGRES_REPLICA_URLS": "postgres://a/x"})

    assert places(problems) == [(Code.SETTING, "environment COMMISSION_POSTGRES_REPLICA_URLS")]


def test_a_faulty_primary_is_not_also_a_missing_one() -> None:
    problems = refused({"COMMISSION_POSTGRES_URL_FILE": "none", "COMMISSION_POSTGRES_REPLICA_URLS": "postgres://a/x"})

    assert places(problems) == [(Code.SETTING, "environment COMMISSION_POSTGRES_URL_FILE")]


# --- Secrets ---


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_its_file_without_the_last_line_end(empty_directory: Path, end: str) -> None:
    (empty_directory / "token").write_bytes(f" a b\n{end}".encode())

    loaded = load({"COMMISSION_BACKEND_TOKEN_FILE": "token"})

    assert secret(loaded.settings.backend_token) == (" a b\n" if end else " a b")
    assert loaded.sources["backend_token"].startswith("file COMMISSION_BACKEND_TOKEN_FILE=token")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 100_000, None])
def test_a_secret_file_that_holds_no_secret_is_refused(empty_directory: Path, content: bytes | None) -> None:
    if content is not None:
        (empty_directory / "token").write_bytes(content)

    assert places(refused({"COMMISSION_BACKEND_TOKEN_FILE": "token"})) == [
        (Code.SETTING, "environment COMMISSION_BACKEND_TOKEN_FILE")
    ]


def test_a_secret_and_its_file_together_are_refused(empty_directory: Path) -> None:
    (empty_directory / "token").write_text("abc", encoding="utf-8")

    problems = refused({"COMMISSION_BACKEND_TOKEN_FILE": "token", "COMMISSION_BACKEND_TOKEN": "abc"})

    assert places(problems) == [(Code.SETTING, "environment COMMISSION_BACKEND_TOKEN")]


def test_the_master_secret_is_long() -> None:
    key = "COMMISSION_MASTER_SECRET"

    assert places(refused({key: "x" * 31})) == [(Code.SETTING, f"environment {key}")]
    assert secret(load({key: "x" * 32}).settings.require_master_secret()) == "x" * 32


def test_who_needs_the_master_secret_is_refused_without_it() -> None:
    with pytest.raises(Refused) as caught:
        load().settings.require_master_secret()

    assert places(caught.value.problems) == [(Code.SETTING, "COMMISSION_MASTER_SECRET")]


def test_no_secret_is_shown_by_anything(empty_directory: Path) -> None:
    master = f"{MARKER}-{MARKER}-{MARKER}"
    (empty_directory / "cache").write_text(f"redis://{MARKER}@cache?password={MARKER}", encoding="utf-8")
    loaded = load(
        {"COMMISSION_REDIS_CACHE_URL_FILE": "cache", "JWT_TOKEN": MARKER, "COMMISSION_MASTER_SECRET": master},
        f"DB_HOST=db\nDB_USER=app\nDB_PASSWORD={MARKER}\nREDIS_HOST=r\nREDIS_PASSWORD={MARKER}\n"
        f"COMMISSION_POSTGRES_URL=postgresql://app:{MARKER}@other/x\nFLASK_SECRET_KEY={MARKER}\n"
        f"COMMISSION_POSTGRES_REPLICA_URLS=abc=postgresql://app:{MARKER}@replica/x\n",
    )
    rows = describe(loaded)

    for text in (repr(loaded), str(loaded.settings), repr(rows), loaded.settings.model_dump_json()):
        assert MARKER not in text
    shown = {row.name: row.value for row in rows}
    assert shown["COMMISSION_POSTGRES_URL"] == "postgresql://app:***@other/x"
    assert shown["COMMISSION_POSTGRES_REPLICA_URLS"] == "abc: postgresql://app:***@replica/x"
    assert shown["COMMISSION_REDIS_URL"] == "redis://:***@r:6379/0"
    assert shown["COMMISSION_REDIS_CACHE_URL"] == "redis://***@cache?password=***"
    assert shown["COMMISSION_MASTER_SECRET"] == MASK


def test_no_refusal_shows_a_secret_even_in_its_traceback() -> None:
    environment = {
        "COMMISSION_MASTER_SECRET": MARKER,
        "COMMISSION_REDIS_URL": f"http://{MARKER}",
        "COMMISSION_POSTGRES_URL": MARKER,
        "COMMISSION_POSTGRES_REPLICA_URLS": f"x=postgres://a:{MARKER}/b@c/d",
        "COMMISSION_BACKEND_TOKEN_FILE": MARKER,
        "COMMISSION_HTTP_PORT": MARKER,
    }
    with pytest.raises(Refused) as caught:
        load(environment)

    assert len(caught.value.problems) == len(environment)
    assert MARKER not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


# --- Values ---


def test_directories_have_their_places() -> None:
    settings = load().settings

    assert settings.documents_directory == settings.data_directory / "documents"
    assert settings.client_documents_directory == settings.data_directory / "documents" / "client-specific"
    assert settings.model_directory == settings.data_directory / "model"


def test_the_data_directory_is_the_users(empty_directory: Path) -> None:
    given = load({"COMMISSION_DATA_DIRECTORY": "~/cm"}).settings.data_directory

    assert load({"XDG_DATA_HOME": "/xdg"}).settings.data_directory == Path("/xdg/commission-mcp")
    assert load({"XDG_DATA_HOME": "relative"}).settings.data_directory.is_relative_to("/home/ada")
    assert given == Path("/home/ada/cm")
    assert load({"COMMISSION_DATA_DIRECTORY": "here"}).settings.data_directory == empty_directory / "here"


def test_another_users_home_is_not_looked_up() -> None:
    problems = refused({"COMMISSION_DATA_DIRECTORY": "~root/cm"})

    assert places(problems) == [(Code.SETTING, "environment COMMISSION_DATA_DIRECTORY")]


def test_roles_are_a_list() -> None:
    assert load().settings.roles == {Role.ANALYST, Role.PLAN_AUTHOR}
    assert load({"COMMISSION_ROLES": "Finance, admin,"}).settings.roles == {Role.FINANCE, Role.ADMIN}
    assert load(overrides={"roles": ["auditor"]}).settings.roles == {Role.AUDITOR}


def test_an_unknown_role_is_refused_with_the_nearest() -> None:
    (problem,) = refused({"COMMISSION_ROLES": "finanse,{fix}"})

    assert (problem.code, problem.path) == (Code.SETTING, "environment COMMISSION_ROLES")
    assert "did you mean finance" in problem.message
    assert "{fix}" in problem.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("COMMISSION_CLIENT_ID", "Client ABC"),
        ("COMMISSION_SUBJECT", "a\tb"),
        ("COMMISSION_ROLES", ","),
        ("COMMISSION_LOG_LEVEL", "trace"),
        ("COMMISSION_QUERY_TIMEOUT_MS", "99"),
        ("COMMISSION_QUERY_TIMEOUT_MS", "600001"),
        ("COMMISSION_QUERY_TIMEOUT_MS", "1.5"),
        ("COMMISSION_HTTP_PORT", "65536"),
        ("COMMISSION_HTTP_HOST", "http://here"),
        ("COMMISSION_CHUNK_OVERLAP_CHARS", "800"),
        ("COMMISSION_CONNECTIONS_PER_LOGIN_MAX", "21"),
        ("COMMISSION_EMBEDDING_MODEL", "x" * 201),
    ],
)
def test_a_value_out_of_bounds_is_refused_and_the_bounds_are_told(key: str, value: str) -> None:
    (problem,) = refused({key: value})

    assert (problem.code, problem.path) == (Code.SETTING, f"environment {key}")
    assert problem.fix


def test_the_fix_names_the_bounds() -> None:
    (number,) = refused({"COMMISSION_QUERY_TIMEOUT_MS": "1"})
    (choice,) = refused({"COMMISSION_LOG_LEVEL": "loud"})

    assert "100 to 600000" in number.fix
    assert "debug, info" in choice.fix


def test_a_default_that_no_longer_fits_is_refused_by_its_own_name() -> None:
    assert places(refused({"COMMISSION_CONNECTIONS_MAX": "2"})) == [
        (Code.SETTING, "default COMMISSION_CONNECTIONS_PER_LOGIN_MAX")
    ]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    problems = refused(
        {"COMMISSION_ROLLS": "x", "COMMISSION_DATA_DIRECTORY": "~nobody/x", "COMMISSION_BACKEND_TOKEN_FILE": "none"},
        "DB_HOST=db\nDB_PORT=x\nCLIENT_DATA_ISOLATION=off\nCHUNK_SIZE=9\n",
        {"log_level": "loud"},
    )

    assert places(problems) == [
        (Code.SETTING, ".env:CHUNK_SIZE"),
        (Code.SETTING, ".env:CLIENT_DATA_ISOLATION"),
        (Code.SETTING, ".env:DB_PORT"),
        (Code.SETTING, "command line log_level"),
        (Code.SETTING, "environment COMMISSION_BACKEND_TOKEN_FILE"),
        (Code.SETTING, "environment COMMISSION_DATA_DIRECTORY"),
        (Code.SETTING_UNKNOWN, "environment COMMISSION_ROLLS"),
    ]


# --- Documentation ---


def test_every_setting_is_shown_with_its_origin() -> None:
    rows = describe(load(file="COMMISSION_SUBJECT=ada\n"))
    row = next(row for row in rows if row.name == "COMMISSION_SUBJECT")

    assert len(rows) == len(Settings.model_fields)
    assert (row.value, row.source) == ("ada", ".env:COMMISSION_SUBJECT")


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_configuration_page_holds_the_reference_of_this_version() -> None:
    page = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert reference() in page, "write what commission_mcp.settings.reporting.reference() answers into the page"

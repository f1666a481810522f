"""The command line, run as a person runs it."""

from __future__ import annotations

import csv
import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import anyio
import pytest
from mcp.client import Client

from commission_mcp.app import open_administration
from commission_mcp.server import build_server
from commission_mcp.settings import Settings, load_settings


@dataclass(frozen=True)
class Terminal:
    """Runs commands on a data directory of its own."""

    folder: Path

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """The command's exit code and output, with nothing of this process's environment."""
        variables = {"COMMISSION_DATA_DIRECTORY": str(self.folder / "data"), "PATH": "/usr/bin:/bin", **environment}
        command = [sys.executable, "-m", "commission_mcp", *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, env=variables, cwd=self.folder, timeout=120, check=False
        )

    def administer(self, statements: str) -> None:
        """Run SQL as the administrator of the embedded database."""

        async def work() -> None:
            async with open_administration(self._settings()) as (connection, _):
                await connection.execute(statements.encode())

        anyio.run(work)

    def ask(self, sql: str) -> str:
        """The text that a server, started anew, answers to a query."""

        async def work() -> str:
            async with Client(build_server(self._settings())) as client:
                result = await client.call_tool("query", {"sql": sql})
                return str(getattr(result.content[0], "text", ""))

        return anyio.run(work)

    def _settings(self) -> Settings:
        overrides = {"data_directory": self.folder / "data", "client_id": "acme"}
        return load_settings(environment={}, overrides=overrides).settings


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    with tempfile.TemporaryDirectory(prefix="cm-cli-") as name:
        yield Terminal(Path(name))


@pytest.fixture(scope="module")
def client_added(terminal: Terminal) -> Terminal:
    added = terminal.run(
        "client",
        "add",
        "acme",
        "--name",
        "Acme",
        "--region",
        "EMEA",
        "--tier",
        "enterprise",
        "--override-key",
        "priority_1=10:1.2",
        "--approval",
        "manager_approval=required:approver",
    )
    assert added.returncode == 0, added.stderr
    return terminal


def test_help_lists_every_command(terminal: Terminal) -> None:
    shown = terminal.run("--help").stdout.decode()

    for command in ("serve", "demo", "doctor", "setup", "import", "run", "report", "check-sql", "client"):
        assert command in shown


def test_a_client_takes_the_defaults_of_its_region(client_added: Terminal) -> None:
    listed = client_added.run("client", "list", COLUMNS="200").stdout.decode()

    assert "acme" in listed
    assert "EUR" in listed
    assert "enterprise" in listed


def test_clients_are_listed_for_programs_too(client_added: Terminal) -> None:
    listed = json.loads(client_added.run("client", "list", "--json").stdout)

    assert [(client["client_id"], client["active"]) for client in listed] == [("acme", True)]
    assert client_added.run("client", "list").stdout.startswith(b"client_id,name,")


def test_the_version_is_that_of_the_package(terminal: Terminal) -> None:
    assert terminal.run("--version").stdout == f"commission-mcp {metadata.version('commission-mcp')}\n".encode()


def test_a_client_is_added_once(client_added: Terminal) -> None:
    again = client_added.run("client", "add", "acme")

    assert again.returncode == 2
    assert b"E_CLIENT_EXISTS" in again.stderr
    assert b"Traceback" not in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["client", "add", "Not An Id"], b"E_CLIENT_ID"),
        (["client", "add", "beta", "--region", "Atlantis", "--currency", "XXY", "--tier", "gold"], b"E_ARGUMENT"),
        (["client", "add", "beta", "--override-key", "x"], b"E_ARGUMENT"),
        (["client", "add", "beta", "--approval", "tea_break=required:approver"], b"E_ARGUMENT"),
        (["client", "set", "nobody", "--name", "x"], b"E_CLIENT_UNKNOWN"),
        (["client", "disable", "nobody"], b"E_CLIENT_UNKNOWN"),
    ],
)
def test_a_wrong_client_command_is_refused_and_changes_nothing(
    client_added: Terminal, arguments: list[str], code: bytes
) -> None:
    refused = client_added.run(*arguments)

    assert refused.returncode == 2
    assert code in refused.stderr
    assert b"beta" not in client_added.run("client", "list").stdout


def test_doctor_is_content_with_a_healthy_directory(client_added: Terminal) -> None:
    shown = client_added.run("doctor", "--json", COMMISSION_CLIENT_ID="acme")
    findings = {finding["check"]: finding for finding in json.loads(shown.stdout)}

    assert shown.returncode == 0, shown.stdout
    expected = {"versions", "settings", "postgresql", "isolation", "isolation: proof", "redis: history", "stdio"}
    assert expected <= set(findings)


def test_doctor_names_a_wrong_setting_with_its_fix(client_added: Terminal) -> None:
    shown = client_added.run("doctor", "--json", COMMISSION_QUERY_TIMEOUT_MS="soon", COMMISSION_CLIENT="acme")
    failed = [finding for finding in json.loads(shown.stdout) if not finding["ok"]]

    assert shown.returncode == 1
    assert {finding["detail"].split()[0] for finding in failed} == {"E_SETTING", "E_SETTING_UNKNOWN"}
    assert all(finding["fix"] for finding in failed)


@pytest.mark.parametrize(
    ("breaking", "mending", "check"),
    [
        ("GRANT SELECT ON cm.sale TO cm_reader", "REVOKE SELECT ON cm.sale FROM cm_reader", "isolation: relations"),
        ("ALTER ROLE cm_gate SUPERUSER", "ALTER ROLE cm_gate NOSUPERUSER", "isolation: roles"),
        (
            "CREATE VIEW commission.leak AS SELECT * FROM cm.sale; GRANT SELECT ON commission.leak TO cm_reader",
            "DROP VIEW commission.leak",
            "isolation: definitions",
        ),
    ],
)
def test_doctor_and_the_server_refuse_a_broken_isolation(
    client_added: Terminal, breaking: str, mending: str, check: str
) -> None:
    client_added.administer(breaking)
    try:
        shown = client_added.run("doctor", "--json", COMMISSION_CLIENT_ID="acme")
        answered = client_added.ask("SELECT 1")
    finally:
        client_added.administer(mending)

    assert shown.returncode == 1
    assert check in {finding["check"] for finding in json.loads(shown.stdout) if not finding["ok"]}
    assert "E_ISOLATION" in answered
    assert client_added.run("doctor", COMMISSION_CLIENT_ID="acme").returncode == 0


def test_doctor_names_an_external_database_that_is_down(client_added: Terminal) -> None:
    shown = client_added.run(
        "doctor",
        "--json",
        COMMISSION_POSTGRES_URL="postgresql://u:hunter2@127.0.0.1:1/x",
        COMMISSION_MASTER_SECRET="s" * 40,
    )

    assert shown.returncode == 1
    assert b"E_DATABASE_UNREACHABLE" in shown.stdout
    assert b"hunter2" not in shown.stdout + shown.stderr


def test_setup_prints_the_script_that_a_superuser_runs(terminal: Terminal) -> None:
    printed = terminal.run("setup", "--print").stdout

    assert b"CREATE ROLE" in printed
    assert b"{{" not in printed


def test_check_sql_prints_one_verdict_a_line(terminal: Terminal) -> None:
    relations = terminal.folder / "relations.json"
    relations.write_text('{"app.deals": {"deal_id": "int4", "amount": "numeric"}}')
    statements = [
        {"id": 1, "sql": "SELECT sum(amount) FROM deals"},
        {"id": 2, "sql": "SELECT pg_sleep(1)"},
    ]
    text = (
        "\n".join(json.dumps(statement) for statement in statements).encode()
        + b'\nnot json\n{"id": 4, "sql": "\xff"}\n'
    )
    verdicts = [
        json.loads(line)
        for line in terminal.run("check-sql", "--relations", str(relations), stdin=text).stdout.splitlines()
    ]

    assert [verdict["verdict"] for verdict in verdicts] == ["accept", "refuse", "refuse", "refuse"]
    assert set(verdicts[1]) == {"id", "verdict", "code", "message", "position"}
    assert (verdicts[1]["code"], verdicts[1]["position"]) == ("E_SQL_FUNCTION", 7)


def test_a_file_is_imported_and_a_wrong_one_is_refused_line_by_line(client_added: Terminal) -> None:
    folder = client_added.folder
    (folder / "payees.csv").write_text("payee_id,name,currency,hired_on\np1,Ann,EUR,2024-01-01\n")
    (folder / "sales.csv").write_text("source_key,sold_on,gross,payee\nk1,2025-01-01,100.50,p1\nk2,2025-02-30,1e5,p9\n")
    imported = client_added.run("import", "payees", "payees.csv", "--client", "acme")
    refused = client_added.run("import", "sales", "sales.csv", "--client", "acme")

    assert imported.returncode == 0
    assert b"1 new" in imported.stderr
    assert refused.returncode == 2
    assert refused.stderr.count(b"line 3") == 3
    assert imported.stdout + refused.stdout == b""


def test_a_period_is_run_and_reported(client_added: Terminal) -> None:
    plan = '{"plan_name": "Core", "rules": [{"category_type": "Flat", "commission": 5}]}'
    client_added.administer(
        f"""INSERT INTO cm.payee (client_id, payee_id, name, currency, hired_on)
            VALUES ('acme', 'r1', '=Rita', 'EUR', '2024-01-01');
        INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, sold_on, quantity, gross, net, currency)
            VALUES ('acme', 'r-1', 'erp', 'r-1', '2025-03-05', 1, 1000, 1000, 'EUR');
        INSERT INTO cm.credit VALUES ('acme', 'r-1', 'r1', 'direct', 1);
        INSERT INTO cm.plan VALUES ('acme', 'core', 'Core');
        INSERT INTO cm.plan_version (client_id, plan_id, version, status, valid, assignee_type, calculation_schedule,
            payment_schedule, currency, definition, definition_sha256, created_by)
            VALUES ('acme', 'core', 1, 'active', '[2025-01-01,)', 'Payee', 'Monthly', 'Monthly', 'EUR', '{plan}',
            sha256('x'), 'local')"""
    )
    early = client_added.run("report", "2025-03", "--client", "acme", COMMISSION_ROLES="finance")
    ran = client_added.run("run", "2025-03", "--client", "acme", COMMISSION_ROLES="finance")
    payouts = client_added.run("report", "2025-03", "--client", "acme", COMMISSION_ROLES="finance")
    lines = client_added.run("report", "2025-03", "--csv", "--client", "acme", COMMISSION_ROLES="finance")
    denied = client_added.run("run", "2025-03", "--client", "acme", COMMISSION_ROLES="analyst")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == b"r1\t50.00\tEUR\n"
    assert [early.returncode, denied.returncode] == [2, 2]
    rows = list(csv.DictReader(payouts.stdout.decode().splitlines()))
    assert [(row["payee_id"], row["name"], row["to_pay"], row["status"]) for row in rows] == [
        ("r1", "'=Rita", "50.00", "draft")
    ]
    assert [row["sale_id"] for row in csv.DictReader(lines.stdout.decode().splitlines())] == ["r-1"]

    def decides(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return client_added.run("payouts", "2025-03", *arguments, "--client", "acme", COMMISSION_ROLES="finance")

    shown = decides("show", "--json")
    run_id = json.loads(shown.stdout)[0]["run_id"]
    own = decides("approve", "--run", run_id)
    wrong = client_added.run("client", "set", "acme", "--approval", "payout_approval=required:approver")
    client_added.run("client", "set", "acme", "--approval", "payout_approval=not_required:finance")
    approved = decides("approve", "--run", run_id)
    payroll = client_added.run("report", "2025-03", "--payroll", "--client", "acme", COMMISSION_ROLES="finance")
    paid = decides("pay", "--run", run_id, "--paid-on", "2025-04-03", "--reference", "SEPA 17", "--json")
    nothing = client_added.run("report", "2025-03", "--payroll", "--client", "acme", COMMISSION_ROLES="finance")

    assert (own.returncode, b"E_OWN_PAYOUT" in own.stderr, wrong.returncode) == (2, True, 2)
    assert approved.returncode == 0, approved.stderr
    assert [(row["payee_id"], row["amount"]) for row in csv.DictReader(payroll.stdout.decode().splitlines())] == [
        ("r1", "50.00")
    ]
    assert [(row["status"], row["paid_on"], row["reference"]) for row in json.loads(paid.stdout)] == [
        ("paid", "2025-04-03", "SEPA 17")
    ]
    assert len(nothing.stdout.splitlines()) == 1


def test_what_an_operator_does_to_a_clients_data_is_on_its_trail(client_added: Terminal) -> None:
    client_added.run("client", "set", "acme", "--name", "Acme SE", "--override-key", "priority_2=20")
    client_added.run("client", "set", "acme", "--tier", "gold")
    client_added.run("user", "set", "ada", "--client", "acme", "--roles", "analyst,auditor", "--issuer", "local")
    client_added.run("user", "set", "eve", "--client", "nobody", "--roles", "analyst", "--issuer", "local")
    exported = client_added.run("audit", "export", "--client", "acme").stdout.decode().splitlines()
    entries = [entry for entry in map(json.loads, exported) if entry["action"] == "command"]
    done = [(each["object"], each["phase"], each["outcome"]) for each in entries]
    facts = [json.loads(each["facts"]) for each in entries]
    user = pwd.getpwuid(os.getuid()).pw_name

    assert done[0] == ("client add", "outcome", "ok")
    assert done[-3:] == [
        ("client set", "outcome", "ok"),
        ("client set", "outcome", "E_ARGUMENT"),
        ("user set", "outcome", "ok"),
    ]
    assert {("client add", "outcome", "E_CLIENT_EXISTS"), ("import", "outcome", "ok")} <= set(done)
    assert {("run", "intent", "pending"), ("run", "outcome", "ok"), ("run", "outcome", "E_ROLE_REQUIRED")} <= set(done)
    actors = {(each["subject"], each["issuer"], each["assurance"]) for each in entries}
    assert actors == {(f"operator:{user}", "local", "asserted")}
    assert facts[-3] == {"name": "Acme SE", "override_keys": ["priority_2"]}
    assert facts[-1]["roles"] == ["analyst", "auditor"]
    assert client_added.run("audit", "verify").returncode == 0
    assert b"nobody" not in client_added.run("audit", "heads").stdout


def test_settings_come_from_an_env_file(client_added: Terminal) -> None:
    (client_added.folder / "other.env").write_text("COMMISSION_CLIENT_ID=acme\nCOMMISSION_ROLES=finance\n")
    shown = client_added.run("doctor", "--json", "--env-file", "other.env")

    assert "acme, roles: finance" in [finding["detail"] for finding in json.loads(shown.stdout)]

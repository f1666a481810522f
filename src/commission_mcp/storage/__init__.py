"""PostgreSQL and Redis: the only package that talks to them."""

from commission_mcp.storage.address import Address
from commission_mcp.storage.catalog import SCHEMA_ROLES, Catalog, Column, View
from commission_mcp.storage.clients import (
    LOCAL_ISSUER,
    LOCAL_SUBJECT,
    Approval,
    Client,
    LoginLimits,
    ProfileLists,
    add_client,
    end_sessions,
    find_client,
    list_clients,
    set_active,
    set_client,
    write_active,
)
from commission_mcp.storage.credentials import Credentials
from commission_mcp.storage.database import Database, DatabaseLimits, gate_connection, open_database
from commission_mcp.storage.example_queries import OVERVIEW_EXAMPLES
from commission_mcp.storage.gate import Admission
from commission_mcp.storage.isolation import as_problem, databases_beside, find_breaches
from commission_mcp.storage.prepare import Administration, administration, operations, prepare, prepare_script
from commission_mcp.storage.proof import prove_denied_reads
from commission_mcp.storage.reading import Reading, Table
from commission_mcp.storage.replicas import ReplicaAddresses
from commission_mcp.storage.values import Value
from commission_mcp.storage.writing import Writing

__all__ = [
    "LOCAL_ISSUER",
    "LOCAL_SUBJECT",
    "OVERVIEW_EXAMPLES",
    "SCHEMA_ROLES",
    "Address",
    "Administration",
    "Admission",
    "Approval",
    "Catalog",
    "Client",
    "Column",
    "Credentials",
    "Database",
    "DatabaseLimits",
    "LoginLimits",
    "ProfileLists",
    "Reading",
    "ReplicaAddresses",
    "Table",
    "Value",
    "View",
    "Writing",
    "add_client",
    "administration",
    "as_problem",
    "databases_beside",
    "end_sessions",
    "find_breaches",
    "find_client",
    "gate_connection",
    "list_clients",
    "open_database",
    "operations",
    "prepare",
    "prepare_script",
    "prove_denied_reads",
    "set_active",
    "set_client",
    "write_active",
]

"""The operator's settings: one frozen class, and the only reader of the environment in the program."""

from commission_mcp.settings.loading import Loaded, load_settings
from commission_mcp.settings.model import Settings
from commission_mcp.settings.replicas import ReplicaUrls
from commission_mcp.settings.reporting import Row, describe

__all__ = ["Loaded", "ReplicaUrls", "Row", "Settings", "describe", "load_settings"]

"""The plan wizard as a pure state machine: a draft and what the client has, to the canonical plan or all problems."""

from commission_mcp.domain.wizard.assessment import Assessment, assess
from commission_mcp.domain.wizard.draft import Draft, Submitted
from commission_mcp.domain.wizard.known import Known, Names, RegionDefaults, StepPolicy, TakenName
from commission_mcp.domain.wizard.setting import set_fields

__all__ = [
    "Assessment",
    "Draft",
    "Known",
    "Names",
    "RegionDefaults",
    "StepPolicy",
    "Submitted",
    "TakenName",
    "assess",
    "set_fields",
]

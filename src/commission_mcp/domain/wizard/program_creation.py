"""A plan as the older dashboard's backend takes it: the body of `PlanCreationWebApi/PostProgramCreation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

_Fields = Mapping[str, object]

_BASES = {
    "Gross Revenue": ("Revenue", "Gross"),
    "Net Revenue": ("Revenue", "Net"),
    "Margin": ("Margin", "Net"),
}
_RANGES = {"BusinessPartner": "customer", "Product": "product", "Territory": "territory", "Plant": "plant"}
STEP, SUB_STEP = 100, 10
MASTERS = ("GetCommissionSchedule", "GetAssigneeNameList")
"""The lists of the backend that keys are looked up in."""


def program_creation(definition: _Fields, org_code: str, masters: Mapping[str, object]) -> dict[str, object]:
    """The body that creates the plan; numbers are Decimal.

    Args:
        definition: The plan in canonical form.
        org_code: How the backend calls the client.
        masters: Answers of the backend's lists, by the name of the call; what is not there has no key.
    """
    rules = cast("Sequence[_Fields]", definition["rules"])
    assignee = definition.get("assignee_name")
    return {
        "ProgramName": definition["plan_name"],
        "ProgramDescription": definition.get("description", ""),
        "OrgCode": org_code,
        "CalculationScheduleId": _key(masters, MASTERS[0], definition["calculation_schedule"]),
        "CalculationSchedule": definition["calculation_schedule"],
        "PaymentScheduleId": _key(masters, MASTERS[0], definition["payment_schedule"]),
        "PaymentSchedule": definition["payment_schedule"],
        "ValidFrom": definition["valid_from"],
        "ValidTo": definition["valid_to"],
        "ObjectType": definition["object_type"],
        "TableName": definition["assignee_type"],
        "AssigneeId": _key(masters, MASTERS[1], assignee),
        "AssigneeName": assignee,
        "PlanConditionsDto": [_condition(definition, rule, number) for number, rule in enumerate(rules, 1)],
    }


def _condition(definition: _Fields, rule: _Fields, number: int) -> dict[str, object]:
    assignments = cast("Sequence[_Fields]", definition["assignments"])
    plan_base, base_value = _BASES.get(str(rule["base_value"]), ("Revenue", str(rule["base_value"])))
    return {
        "PlanType": rule["plan_type"],
        "Sequence": number * STEP,
        "Step": str(number),
        "PlanDescription": rule.get("name") or rule.get("description") or f"Rule {number}",
        "PlanParamsJson": rule.get("plan_params") or _params(assignments),
        "Tiered": rule["category_type"] == "Tiered",
        "CategoryType": rule["category_type"],
        "RangeType": rule.get("range_type"),
        "ValueType": "Amount" if rule["value_type"] == "Fixed Amount" else rule["value_type"],
        "ValidFrom": rule.get("valid_from") or definition["valid_from"],
        "ValidTo": rule.get("valid_to") or definition["valid_to"],
        "PlanBase": plan_base,
        "BaseValue": base_value,
        "JsonData": [
            _data(definition, rule, assignment, number * STEP + place * SUB_STEP)
            for place, assignment in enumerate(assignments)
        ],
        "isStep": len(cast("Sequence[object]", rule.get("tiers") or ())) > 1,
        "PlanAssignments": [_assignment(assignment) for assignment in assignments],
    }


def _data(definition: _Fields, rule: _Fields, assignment: _Fields, sequence: int) -> dict[str, object]:
    tiers = assignment.get("tiers") or rule.get("tiers")
    return {
        "Sequence": sequence,
        "commission": _number(rule.get("commission")),
        "tiers": [
            {
                "from_value": _number(tier["from"]),
                "to_value": _number(tier["to"]),
                "commission": _number(tier["commission"]),
            }
            for tier in cast("Sequence[_Fields]", tiers or ())
        ],
        "PlanValueRangesDto": {
            **{theirs: assignment.get(ours) for theirs, ours in _RANGES.items()},
            "Group": assignment.get("group"),
        },
        "currency": definition["currency"],
    }


def _assignment(assignment: _Fields) -> dict[str, object]:
    return {name: value for name, value in assignment.items() if name not in {"tiers", "boundary"}}


def _params(assignments: Sequence[_Fields]) -> list[str]:
    """The parameters that the assignments use."""
    return [
        theirs for theirs, ours in (*_RANGES.items(), ("Group", "group")) if any(ours in row for row in assignments)
    ]


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _key(masters: Mapping[str, object], call: str, label: object) -> object:
    """The key of the row that has this label: the first field of it whose name ends in `id`."""
    rows = masters.get(call)
    if label is None or not isinstance(rows, list):
        return None
    wanted = str(label).strip().lower()
    for row in cast("list[object]", rows):
        if isinstance(row, Mapping):
            fields = cast("_Fields", row)
            if any(isinstance(value, str) and value.strip().lower() == wanted for value in fields.values()):
                return next((value for name, value in fields.items() if name.lower().endswith("id")), None)
    return None

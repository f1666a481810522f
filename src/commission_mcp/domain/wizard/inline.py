"""From a draft to the plan in the inline form: defaults filled in, each with its source, and names made keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from commission_mcp.domain.parsing.parts import dimension
from commission_mcp.domain.wizard.draft import Draft, Fields
from commission_mcp.domain.wizard.fields import PROFILE, SCOPE_FIELDS
from commission_mcp.domain.wizard.known import Known
from commission_mcp.domain.wizard.masters import resolved
from commission_mcp.errors import Code, Problem

USUAL_PRIORITY = 100  # of an assignment without an override key


@dataclass(frozen=True, slots=True)
class Default:
    """A value that the author did not give, and where it came from."""

    path: str
    value: object
    source: str


class Inline:
    """The inline form of a draft.

    Attributes:
        form: The plan; what is missing is missing, what is wrong is as it was given.
        problems: Names that the client does not have.
        warnings: What was understood, and how.
        defaults: What was filled in.
    """

    def __init__(self, draft: Draft, known: Known) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.defaults: list[Default] = []
        self._draft = draft
        self._known = known
        profile = self._profile()
        metadata = {name: value for name, value in draft.metadata.items() if name != "client_specific_rules"}
        self._schedules(metadata)
        self._usual(metadata, "object_type", "Invoices")
        rules = cast("list[object]", resolved([dict(rule) for rule in draft.rules], known, "rules", self.problems))
        extras = cast("dict[str, object]", resolved(dict(draft.extras), known, "", self.problems))
        assignments = self._assignments()
        self.form: dict[str, object] = {**metadata, **extras, "client_specific_rules": profile}
        if "currency" in profile:
            self.form["currency"] = draft.submission.get("currency", profile["currency"])
        self.form |= {name: draft.submission[name] for name in ("uom",) if name in draft.submission}
        if draft.submission.get("client_approvals") is not None:
            self.form["client_approvals"] = draft.submission["client_approvals"]
        self.form["assignments"] = assignments
        self.form["rules"] = [_rule(cast("Fields", rule)) for rule in rules]

    def _profile(self) -> dict[str, object]:
        """`client_specific_rules`, with the client's profile and the region's defaults behind it."""
        stated = self._draft.metadata.get("client_specific_rules")
        if stated is not None and not isinstance(stated, Mapping):
            return {"currency": self._known.base_currency}  # said to be no object elsewhere
        given = {str(name): value for name, value in cast("Fields", stated or {}).items()}
        profile = {name: given[name] for name in given if name not in PROFILE}
        own_region = given.get("region")
        region = own_region if own_region is not None else self._known.region
        found = self._region(region)
        if own_region is None and region is not None:
            self._default("client_specific_rules.region", region, "the client's profile")
        if region is not None:
            profile["region"] = found or region
        currency, currency_source = self._known.base_currency, "the client's profile"
        level, level_source = self._known.compliance_level, "the client's profile"
        if own_region is not None and found is not None and found != self._known.region:
            currency, currency_source = self._known.regions[found].currency, f"the region {found}"
        for name, value, source in (
            ("currency", currency, currency_source),
            ("compliance_level", level, level_source),
        ):
            if given.get(name) is None:
                self._default(f"client_specific_rules.{name}", value, source)
            profile[name] = given.get(name) or value
        return profile

    def _region(self, region: object) -> str | None:
        """The region as the client's list spells it."""
        by_case = {name.lower(): name for name in self._known.regions}
        return by_case.get(region.strip().lower()) if isinstance(region, str) else None

    def _schedules(self, metadata: dict[str, object]) -> None:
        calculation = metadata.get("calculation_schedule")
        if metadata.get("payment_schedule") is None and isinstance(calculation, str):
            pays = "Monthly" if calculation.strip().lower() in {"per transaction", "daily", "weekly"} else calculation
            if calculation.strip().lower() in {"daily", "weekly"}:
                pays = calculation
            metadata["payment_schedule"] = pays
            self._default("payment_schedule", pays, "the calculation schedule")

    def _usual(self, metadata: dict[str, object], name: str, value: str) -> None:
        if metadata.get(name) is None:
            metadata[name] = value
            self._default(name, value, "what is usual")

    def _default(self, path: str, value: object, source: str) -> None:
        self.defaults.append(Default(path, value, source))

    def _assignments(self) -> list[object]:
        stated = self._draft.submission.get("assignments")
        rows = cast("list[object]", stated) if isinstance(stated, list) else []
        if stated is not None and not isinstance(stated, list):
            fix = 'Send a list: [{"territory": "North", "product": "Product A"}].'
            self.problems.append(Problem(Code.FIELD_TYPE, "This is no list.", fix, "assignments"))
        keys = resolved(rows, self._known, "assignments", self.problems)
        return [self._assignment(row, index) for index, row in enumerate(cast("list[object]", keys))]

    def _assignment(self, row: object, index: int) -> object:
        if not isinstance(row, Mapping):
            return row
        fields = {_spelled(str(name)): value for name, value in cast("Fields", row).items() if value is not None}
        key = fields.get("client_override", self._draft.submission.get("client_override"))
        if not any(fields.get(name) for name in SCOPE_FIELDS) and "attributes" not in fields:
            self.problems.append(
                Problem(
                    Code.FIELD_MISSING,
                    "The assignment names nobody and nothing.",
                    f"Name at least one of: {', '.join(SCOPE_FIELDS)}.",
                    f"assignments[{index}].territory",
                )
            )
        if key is not None:
            fields["client_override"] = key
            self._override(fields, key, index)
        if fields.get("priority") is None:
            fields["priority"] = USUAL_PRIORITY
        return fields

    def _override(self, fields: dict[str, object], key: object, index: int) -> None:
        found = self._known.override_keys.get(key) if isinstance(key, str) else None
        if found is None:
            keys = ", ".join(sorted(self._known.override_keys)) or "none; `commission-mcp client set` defines them"
            self.problems.append(
                Problem(
                    Code.UNKNOWN,
                    f"The client has no override key {str(key)[:60]!r}.",
                    f"The keys are: {keys}.",
                    f"assignments[{index}].client_override",
                )
            )
        elif fields.get("priority") not in (None, found[0], str(found[0])):
            self.problems.append(
                Problem(
                    Code.FIELD_FORBIDDEN,
                    f"The key {key} stands for priority {found[0]}.",
                    "Leave `priority` out, or leave `client_override` out.",
                    f"assignments[{index}].priority",
                )
            )
        else:
            fields["priority"] = found[0]


def _spelled(name: str) -> str:
    ours = dimension(name)
    return ours if ours in SCOPE_FIELDS else name


def _rule(rule: Fields) -> dict[str, object]:
    return {name: value for name, value in rule.items() if value is not None and name != "rule_no"}

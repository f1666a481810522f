"""A draft: the fields of each phase as they were given, right or wrong, and where the draft came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from commission_mcp.domain.wizard.fields import METADATA, PLAN_EXTRAS, PROFILE, SUBMISSION

Fields: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submitted draft: the version that was written, and the revision it was submitted with."""

    plan_id: str
    version: int
    sha256: str
    revision: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan in the making.

    Attributes:
        phase: Where the author is: 1, 2 or 3.
        metadata: The fields of phase 1.
        rules: The fields of each rule.
        extras: What phase 2 says of the plan as a whole: draw, bonuses, caps over all rules.
        submission: The fields of phase 3.
        plan_id: The plan of which this becomes a new version; None makes a new plan.
        base_version: The version that the fields were taken from.
        sources: Where a field's value came from, if not from the author: path -> source.
        rates_before: What a rule paid before its rates were changed by `change`, by the rule's place.
        submitted: Set when the draft is closed.
    """

    phase: int = 1
    metadata: Fields = field(default_factory=dict[str, object])
    rules: tuple[Fields, ...] = ()
    extras: Fields = field(default_factory=dict[str, object])
    submission: Fields = field(default_factory=dict[str, object])
    plan_id: str | None = None
    base_version: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    rates_before: Mapping[str, Fields] = field(default_factory=dict[str, Fields])
    submitted: Submitted | None = None

    def to_json(self) -> dict[str, object]:
        """As it is stored; the phase and the plan have places of their own."""
        closed = self.submitted
        return {
            "metadata": dict(self.metadata),
            "rules": [dict(rule) for rule in self.rules],
            "extras": dict(self.extras),
            "submission": dict(self.submission),
            "base_version": self.base_version,
            "sources": dict(self.sources),
            "rates_before": {place: dict(rates) for place, rates in self.rates_before.items()},
            "submitted": None
            if closed is None
            else {
                "plan_id": closed.plan_id,
                "version": closed.version,
                "sha256": closed.sha256,
                "revision": closed.revision,
            },
        }

    @classmethod
    def from_json(cls, stored: Fields, phase: int, plan_id: str | None) -> Draft:
        """The draft that `to_json` wrote."""
        closed = cast("dict[str, object] | None", stored.get("submitted"))
        return cls(
            phase=phase,
            metadata=_object(stored, "metadata"),
            rules=tuple(cast("list[Fields]", stored.get("rules") or [])),
            extras=_object(stored, "extras"),
            submission=_object(stored, "submission"),
            plan_id=plan_id,
            base_version=cast("int | None", stored.get("base_version")),
            sources=cast("dict[str, str]", stored.get("sources") or {}),
            rates_before=cast("dict[str, Fields]", stored.get("rates_before") or {}),
            submitted=None if closed is None else Submitted(**closed),  # type: ignore[arg-type] - as `to_json` wrote it
        )

    def filled(self, definition: Fields, source: str) -> Draft:
        """The draft with the fields of a plan in the inline form, such as a template or another version.

        Args:
            definition: The plan; fields that the wizard does not have are left out.
            source: Named with every field that the author then does not give.
        """
        profile = {**_object(definition, "client_specific_rules")}
        profile |= {name: definition[name] for name in PROFILE if name in definition and name not in profile}
        metadata = {name: definition[name] for name in METADATA if name in definition and name not in PROFILE}
        if profile:
            metadata["client_specific_rules"] = profile
        rules = definition.get("rules")
        listed = [cast("Fields", rule) for rule in cast("list[object]", rules)] if isinstance(rules, list) else []
        extras = {name: definition[name] for name in PLAN_EXTRAS if name in definition}
        submission = {name: definition[name] for name in SUBMISSION if name in definition and name != "currency"}
        given = (*metadata, *extras, *submission, *(["rules"] if listed else []))
        return replace(
            self,
            metadata={**self.metadata, **metadata},
            rules=tuple(listed) or self.rules,
            extras={**self.extras, **extras},
            submission={**self.submission, **submission},
            sources={**self.sources, **dict.fromkeys(given, source)},
        )

    def without(self, *names: str) -> Draft:
        """The draft without these fields of phase 1 and 3."""
        return replace(
            self,
            metadata={name: value for name, value in self.metadata.items() if name not in names},
            submission={name: value for name, value in self.submission.items() if name not in names},
            sources={name: source for name, source in self.sources.items() if name not in names},
        )


def _object(stored: Fields, name: str) -> dict[str, object]:
    found = stored.get(name)
    return dict(cast("Fields", found)) if isinstance(found, Mapping) else {}

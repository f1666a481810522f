"""What a client has that a plan may refer to, and the client's own defaults and rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Names:
    """The master values of one kind.

    Attributes:
        ids: Lower-case key or name -> the keys that it may mean; only those that were asked for may be there.
        shown: Names for suggestions.
        free: There is no master list, so any value is taken as it is.
    """

    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    shown: tuple[str, ...] = ()
    free: bool = False

    def find(self, text: str) -> tuple[str, ...]:
        """The keys that a text may mean: a key goes before names that are spelled like it."""
        return (text,) if self.free else self.ids.get(text.strip().lower(), ())


@dataclass(frozen=True, slots=True)
class RegionDefaults:
    """What a region sets where nothing else does."""

    currency: str
    compliance_level: str


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """The client's policy for an approval step.

    Attributes:
        requirement: required, automatic_below or not_required.
        automatic_below: An amount in the client's currency, for automatic_below.
        deciding_role: Who decides.
    """

    step: str
    requirement: str
    deciding_role: str
    automatic_below: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TakenName:
    """A plan that already has the name which the draft asks for."""

    plan_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Known:
    """The client, as the wizard needs it."""

    base_currency: str = "USD"
    region: str | None = None
    compliance_level: str = "standard"
    currencies: frozenset[str] = frozenset({"USD", "EUR"})
    regions: Mapping[str, RegionDefaults] = field(default_factory=dict[str, RegionDefaults])
    territories: Names = Names()
    products: Names = Names()
    payees: Names = Names()
    teams: Names = Names(free=True)
    job_roles: Names = Names(free=True)
    uoms: Names = Names()
    override_keys: Mapping[str, tuple[int, Decimal]] = field(default_factory=dict[str, tuple[int, Decimal]])
    policies: tuple[StepPolicy, ...] = ()
    taken: TakenName | None = None

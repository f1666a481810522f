"""Approval steps: what an author may ask for, and which steps a plan needs by the client's policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from commission_mcp.domain.parsing.reader import nearest
from commission_mcp.domain.wizard.fields import Step
from commission_mcp.domain.wizard.known import StepPolicy
from commission_mcp.errors import Code, Problem

_USUAL_ROLE = {
    Step.MANAGER: "approver",
    Step.FINANCE: "finance",
    Step.COMPLIANCE: "compliance",
    Step.PAYEE: "payee",
}


@dataclass(frozen=True, slots=True)
class NeededStep:
    """A step that a plan needs.

    Attributes:
        deciding_role: Who decides.
        automatic: The client's own policy decides it.
        reason: Why it is needed, or why it is automatic.
    """

    step: str
    deciding_role: str
    automatic: bool
    reason: str


def usual_role(step: str) -> str:
    """Who decides a step, where the client's policy names nobody."""
    return _USUAL_ROLE[Step(step)]


def requested_steps(approvals: object) -> tuple[str, ...]:
    """The steps that an author names: each is a request, whatever outcome is claimed."""
    if not isinstance(approvals, Mapping):
        return ()
    named = {str(name) for name in cast("Mapping[object, object]", approvals)}
    return tuple(step for step in Step if step in named)


def approval_problems(approvals: object) -> Iterator[Problem]:
    """Steps that there are not."""
    if not isinstance(approvals, Mapping):
        return
    for name in cast("Mapping[object, object]", approvals):
        if name not in set(Step):
            yield Problem(
                Code.UNKNOWN,
                f"There is no approval step {str(name)[:60]!r}.",
                f"{nearest(name, list(Step))}There are: {', '.join(Step)}.",
                "client_approvals",
            )


def needed_steps(
    policies: Sequence[StepPolicy], requested: Sequence[str], compliance_level: str, exposure: Decimal | None
) -> tuple[NeededStep, ...]:
    """The steps that a plan needs: those of the client's policy, and those that the author asks for.

    An enterprise plan has a compliance check, and no plan goes without any step.

    Args:
        policies: The client's.
        requested: Steps that the author asks for; these are decided by people.
        compliance_level: The stricter of the plan's and the client's.
        exposure: The most that the plan was seen to pay one payee for one period, in the client's currency; None where
            nothing bounds it.
    """
    by_step = {policy.step: policy for policy in policies}
    needed: list[NeededStep] = []
    for step in Step:
        policy = by_step.get(step)
        role = policy.deciding_role if policy is not None else _USUAL_ROLE[step]
        if step in requested:
            needed.append(NeededStep(step, role, automatic=False, reason="asked for by the author"))
        elif policy is not None and policy.requirement != "not_required":
            needed.append(_by_policy(policy, exposure))
        elif step is Step.COMPLIANCE and compliance_level == "enterprise":
            needed.append(NeededStep(step, role, automatic=False, reason="compliance level enterprise"))
    if not needed:
        needed.append(
            NeededStep(Step.MANAGER, _USUAL_ROLE[Step.MANAGER], automatic=False, reason="no plan goes without")
        )
    return tuple(needed)


def _by_policy(policy: StepPolicy, exposure: Decimal | None) -> NeededStep:
    limit = policy.automatic_below
    if policy.requirement == "automatic_below" and limit is not None and exposure is not None and exposure < limit:
        reason = f"the client's policy: automatic below {limit:f}, and the plan pays {exposure:f} at most as reviewed"
        return NeededStep(policy.step, policy.deciding_role, automatic=True, reason=reason)
    return NeededStep(policy.step, policy.deciding_role, automatic=False, reason="the client's policy")

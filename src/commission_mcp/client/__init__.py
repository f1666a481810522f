"""A thin client for Python programs: `CommissionClient`, and `AsyncCommissionClient` for asynchronous ones.

```python
with CommissionClient(client_id="client-abc") as client:
    rows = client.query("SELECT payee_id, amount FROM payouts WHERE period_id = $1", ["2026-05"])
```

It imports nothing of the server. See docs/scripting.md.
"""

from commission_mcp.client.asynchronous import AsyncCommissionClient
from commission_mcp.client.failures import (
    AuthError,
    CallTimeoutError,
    CommissionError,
    ConnectionLostError,
    NotFoundError,
    Problem,
    RefusedError,
    ServerError,
    SettingsError,
    UnavailableError,
)
from commission_mcp.client.results import (
    Answer,
    Calculation,
    ChatHistory,
    CommissionRun,
    Comparison,
    Decision,
    DegradedPart,
    Document,
    DocumentIndex,
    DocumentText,
    Explanation,
    Health,
    Message,
    NextCall,
    Overview,
    Passage,
    Payments,
    PlanDraft,
    PromptMessage,
    Schema,
    SearchResult,
    Session,
    View,
    ViewColumn,
)
from commission_mcp.client.rows import Column, Rows
from commission_mcp.client.synchronous import CommissionClient
from commission_mcp.client.values import Range

__all__ = [
    "Answer",
    "AsyncCommissionClient",
    "AuthError",
    "Calculation",
    "CallTimeoutError",
    "ChatHistory",
    "Column",
    "CommissionClient",
    "CommissionError",
    "CommissionRun",
    "Comparison",
    "ConnectionLostError",
    "Decision",
    "DegradedPart",
    "Document",
    "DocumentIndex",
    "DocumentText",
    "Explanation",
    "Health",
    "Message",
    "NextCall",
    "NotFoundError",
    "Overview",
    "Passage",
    "Payments",
    "PlanDraft",
    "Problem",
    "PromptMessage",
    "Range",
    "RefusedError",
    "Rows",
    "Schema",
    "SearchResult",
    "ServerError",
    "Session",
    "SettingsError",
    "UnavailableError",
    "View",
    "ViewColumn",
]

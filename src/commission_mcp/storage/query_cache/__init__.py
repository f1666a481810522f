"""Answers of `query`, kept on a Redis or Valkey for as long as the rows behind them have not changed.

Every name under which an answer is kept holds the versions of the data that its rows were read in, so a change needs no
invalidation: it makes other names. The server is a help and never a need: without it every answer is read anew.
"""

from commission_mcp.storage.query_cache.answer import Answer
from commission_mcp.storage.query_cache.cache import Found, Made, Outcome, QueryCache, open_query_cache
from commission_mcp.storage.query_cache.question import Question

__all__ = ["Answer", "Found", "Made", "Outcome", "QueryCache", "Question", "open_query_cache"]

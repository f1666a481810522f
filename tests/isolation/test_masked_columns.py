"""What is masked is masked in every clause: no answer depends on a value that the caller must not know."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from isolation.conftest import Attacker, Witness

pytestmark = pytest.mark.anyio

TRIES = 1_000
COLUMNS = ("email", "bank_account", "salary", "tax_id")
VALUES = {
    "email": ("p1@client-a.example.com", "p", "p3@%", "zoe@elsewhere.example"),
    "bank_account": ("BANK-client-a-1", "BANK", "%-3", "DE00"),
    "salary": ("50100", "50300.00", "5%", "99000"),
    "tax_id": ("TAX-client-a-2", "TAX", "T%", "XX"),
}
# One bit or more of a value would show in one of these, were it there.
FORMS = (
    "SELECT payee_id FROM payees WHERE {c}::text {op} '{v}' ORDER BY payee_id",
    "SELECT payee_id FROM payees WHERE {c}::text LIKE '{v}' ORDER BY payee_id",
    "SELECT payee_id FROM payees WHERE {c}::text ~ '^{v}' ORDER BY payee_id",
    "SELECT payee_id, {c} FROM payees ORDER BY {c}, payee_id",
    "SELECT payee_id FROM payees ORDER BY length({c}::text) DESC, {c} DESC NULLS FIRST, payee_id",
    "SELECT min({c}::text), max({c}::text), count({c}), count(DISTINCT {c}) FROM payees",
    "SELECT {c}::text, count(*) FROM payees GROUP BY 1 HAVING min({c}::text) {op} '{v}' ORDER BY 1",
    "SELECT string_agg({c}::text, ',' ORDER BY {c}::text {op} '{v}', payee_id) FROM payees",
    "SELECT payee_id, rank() OVER (ORDER BY {c}), lag({c}::text) OVER (ORDER BY {c}, payee_id) FROM payees ORDER BY 1",
    "SELECT a.payee_id, b.payee_id FROM payees a JOIN payees b ON a.{c} = b.{c} ORDER BY 1, 2",
    "SELECT a.payee_id FROM payees a WHERE EXISTS (SELECT FROM payees b WHERE b.{c}::text > a.{c}::text) ORDER BY 1",
    "SELECT payee_id, CASE WHEN {c}::text {op} '{v}' THEN 1 / 0 ELSE 1 END FROM payees ORDER BY 1",
    "SELECT payee_id, ({c}::text)::int FROM payees ORDER BY 1",
    "SELECT payee_id, (substr({c}::text, {n}, 1) || '0')::int FROM payees ORDER BY 1",
    "SELECT payee_id, md5({c}::text), ascii(substr({c}::text, {n}, 1)), strpos({c}::text, '{v}') FROM payees",
    "SELECT payee_id, g FROM payees, generate_series(1, coalesce(length({c}::text), 1)) g ORDER BY 1, 2",
    "SELECT c.sale_id FROM credits c JOIN payees p USING (payee_id) WHERE p.{c}::text {op} '{v}' ORDER BY 1 LIMIT 5",
    "SELECT sum(salary), avg(salary), percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) FROM payees WHERE {n} > 0",
    "WITH guess AS (SELECT '{v}'::text AS v) SELECT payee_id FROM payees, guess WHERE {c}::text {op} v ORDER BY 1",
    "SELECT DISTINCT ON ({c}) payee_id FROM payees ORDER BY {c}, payee_id",
    "SELECT to_jsonb(p) FROM payees p ORDER BY payee_id LIMIT {n}",
    "SELECT p::text FROM payees p ORDER BY p LIMIT {n}",
    "SELECT payee_id FROM payees p ORDER BY (SELECT max({c}::text) FROM payees q WHERE q.payee_id = p.payee_id), 1",
)


def tries(seed: int) -> Iterator[str]:
    """Statements that ask about masked values, in every clause that there is."""
    chance = random.Random(seed)  # noqa: S311 - replayable, no secret
    while True:
        column = chance.choice(COLUMNS)
        operator = chance.choice(["=", "<", ">", "<=", "<>", "||'x' <", "IS DISTINCT FROM"])
        value = chance.choice(VALUES[column])
        yield chance.choice(FORMS).format(c=column, op=operator, v=value, n=chance.randint(1, 12))


@contextmanager
def other_values(witness: Witness) -> Generator[None]:
    """The same payees with other secrets, in another order."""
    witness.connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM cm.payee")
    witness.connection.execute(
        "UPDATE cm.payee SET email = 'zoe' || (900 - ascii(right(payee_id, 1))) || '@elsewhere.example', "
        "bank_account = 'DE00 ' || repeat('9', ascii(right(payee_id, 1)) - 40), salary = 99000 - salary, "
        "tax_id = 'XX' || (500 - ascii(right(payee_id, 1)))"
    )
    try:
        yield
    finally:
        witness.connection.execute(
            "UPDATE cm.payee p SET email = k.email, bank_account = k.bank_account, salary = k.salary, "
            "tax_id = k.tax_id FROM kept k WHERE (k.client_id, k.payee_id) = (p.client_id, p.payee_id)"
        )
        witness.connection.execute("DROP TABLE kept")


async def test_no_answer_depends_on_a_masked_value(attacker: Attacker, witness: Witness) -> None:
    """The same thousand statements over other secrets have the same answers, errors included."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201 - shown when the test fails
    statements = list(islice(tries(seed), TRIES))
    before = [(await attacker.ask(statement)).text for statement in statements]
    with other_values(witness):
        after = [(await attacker.ask(statement)).text for statement in statements]

    await attacker.remember()  # the data is as it was; that it was changed is counted
    differing = [asked for asked, was, now in zip(statements, before, after, strict=True) if was != now]
    assert differing == []
    assert sum("E_" not in text for text in before) > TRIES // 2
    assert not any(secret in text for text in before for secret in ("@client-a.example.com", "BANK-", "TAX-"))


async def test_who_may_see_them_sees_that_they_differ(
    attacker: Attacker, attacker_unmasked: Attacker, witness: Witness
) -> None:
    """The other way round: the statements do tell the two sets of secrets apart where they are not masked."""
    statements = list(islice(tries(1), 100))
    before = [(await attacker_unmasked.ask(statement)).text for statement in statements]
    with other_values(witness):
        after = [(await attacker_unmasked.ask(statement)).text for statement in statements]
    await attacker.remember()

    assert sum(was != now for was, now in zip(before, after, strict=True)) > len(statements) // 2

"""
A question to the customer without a rejection: the gate that asks is paused until the answer (NUM-223, P-06 to P-08).

Who asks decides the gate with “请客户补充”; the gate `question` waits for the answer, which comes by its form, by
`aftersales decide` or as evidence. Silence is reminded of, then closes a review. With the goods here nothing can be
closed over them: the inspection goes on with what there is (RET-07), and the inspector decides.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk import leg as legs
from aftersales.rules import clocks
from aftersales.rules.standing import QUESTION
from aftersales.store import cases
from aftersales.store.cases import Case
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import Staff, matter
from tasks import gates, notices, promises


async def ask(case: str, asked: gates.Answer) -> None:
    """Tell the customer what is asked, and until when an answer is waited for (NTC-17)."""
    leg = await legs.here()
    assert leg.case is not None
    assert leg.terms is not None
    entry = f"{QUESTION}-{leg.round('ask')}.told"
    if notices.was_told(leg, "NTC-17", entry):
        return
    limit = leg.terms.returns.on(leg.case.channel).stages[QUESTION].limit
    due_at = promises.lapse(leg.terms, QUESTION, promises.reckon(leg, QUESTION, limit).due_at)
    async with transaction() as connection:
        await notices.tell_customer(
            connection,
            leg,
            "NTC-17",
            entry,
            {"question": asked.data["question"], "due": clocks.spoken(due_at, house=leg.terms.house)},
        )


async def go_on(case: str, gate: str) -> None:
    """Tell the customer and the department that a gate goes on without the answer (NTC-19)."""
    leg = await legs.here()
    assert leg.case is not None
    assert leg.terms is not None
    entry = f"{QUESTION}-{leg.rounds['ask'] - 1}.silent"
    if notices.was_told(leg, "NTC-19", entry):
        return
    owner = leg.terms.returns.stages[gate].owner
    text = f"客户在期限内没有答复，{matter(gate)}恢复计时，请按现有情况办理。"
    async with transaction() as connection:
        await notices.tell_customer(connection, leg, "NTC-19", entry, {"stage": matter(gate)})
        await notices.tell_department(connection, leg, entry, owner, text)


async def take_evidence(connection: AsyncConnection, case: Case, terms: Terms, person: Staff, label: str) -> bool:
    """
    Let evidence that has just been kept answer the open question; False when there is none, or it is not theirs.

    Only who may write the customer's answer down gives it: what a colleague adds meanwhile is no answer.
    """
    promise = await cases.open_gate(connection, case.case_no, QUESTION)
    if promise is None:
        return False
    try:
        await gates.accept(
            connection,
            case=case,
            terms=terms,
            promise=promise,
            answer={"answer": f"补充凭证：{label}", "evidence": []},
            operator=person.id,
            via="evidence",
            at=clock.now(case),
        )
    except (gates.AlreadyDecided, gates.Refused):
        return False
    return True

"""
Sending: what waits in the outbox goes to its addresses, one at a time, each with an outcome of its own (design §8).

That a send begins is committed before it begins, what came of it after. Whoever dies in between leaves a send of which
nobody knows whether it arrived: once its time has passed it is sent again, marked as perhaps a second one (P-11). Right
before, it is looked up whether there is still anything to tell (P-12). Safe from several places at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock
from aftersales.desk import links
from aftersales.gateways import Outcome, channels
from aftersales.gateways.channels import Address, Channels
from aftersales.rules import clocks, deliveries, pages, surveys
from aftersales.rules.deliveries import CUSTOMER, Whom
from aftersales.settings import settings
from aftersales.store import cases, outbox, people, records
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.words import DESK, DIGEST, Unable
from tasks import desks, notices
from tasks.cases import current_terms

log = logging.getLogger("aftersales.notices")

AT_ONCE = channels.AT_ONCE
# how often a worker looks for what was just written
SECONDS = 2.0
# how long a send may take before it counts as begun by somebody who died; longer than any send
LEASE = timedelta(minutes=2)
A_MINUTE = timedelta(minutes=1)
# an address whose last sends failed, all in the last minute, rests a minute, so that it holds up no other
FAILURES = 3
EXPIRED = "过了有效时间，不再发送"
NO_CONTACT = "没有可用的联系方式"
ELSEWHERE = "改发其他地址"
RESTING = "渠道连续失败，暂停一分钟"
CROWDED = "渠道每分钟条数已满，稍后发送"
UNDER_WAY = "正在发送"
QUIET = "静默时段，结束后发送"
TO_DO = "请逐项办理或督办；发出前已办完的不在其中。"
MANY = "一分钟内已有多条，稍后发送或合并"
REHEARSED = "【演练】"


# what a digest does not tell any more, and why
LeftOut = list[tuple[Mapping[str, Any], str]]


@dataclass(frozen=True, slots=True)
class Message:
    """A notice in the middle of being sent: to which of its addresses now, and which it has in all."""

    is_rehearsed: bool
    row: Mapping[str, Any]
    to: Whom
    now: tuple[Address, ...]
    again: frozenset[str]
    doubtful: frozenset[str]
    addresses: tuple[Address, ...]
    subject: str
    body: str
    short: str
    # the same where a channel shows tables; empty: no other than `body`
    page: str
    # itself, or what of a digest it tells
    told: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one notice at one address, as people read it."""

    outbox_id: int
    case_no: str
    recipient: str
    channel: str
    outcome: str


@dataclass
class Round:
    """What one look has sent, and what not."""

    sent: int = 0
    withdrawn: int = 0
    told: list[Told] = field(default_factory=list)

    @property
    def found(self) -> int:
        """How much there was to do."""
        return self.sent + self.withdrawn + len(self.told)

    @property
    def page(self) -> str:
        """What was not sent, as a page."""
        rows = [f"| {' | '.join(map(pages.cell, row))} |" for row in self.rows()]
        head = ["# 通知巡检", "", f"送达 {self.sent} 条，撤回 {self.withdrawn} 条，未送达 {len(self.told)} 条。"]
        table = ["", "| 通知编号 | 售后单 | 发给 | 渠道 | 结果 |", "| --- | --- | --- | --- | --- |", *rows]
        return "\n".join([*head, *(table if rows else [])])

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """What was not sent, a row each."""
        return [(str(each.outbox_id), each.case_no, each.recipient, each.channel, each.outcome) for each in self.told]


async def look(
    known: Channels,
    *,
    rehearsal: str | None = None,
    at: datetime | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Round:
    """
    Send everything that is due at `at` (now), several at once; what fails is put off and stops nothing.

    `rehearsal` names the rehearsal whose notices and clock are meant: they go to the channels for rehearsals alone.
    Nothing more is begun once it `is_stopping`.
    """
    found = Round()
    if rehearsal is not None and not known.rehearsal:
        return found
    if rehearsal is None:
        await _digest(at or clock.now())

    senders: list[asyncio.Task[None]] = []

    def another() -> None:
        # one that found nothing to do has ended, though there may be much again
        if sum(not sender.done() for sender in senders) < AT_ONCE:
            senders.append(asyncio.create_task(one_after_the_other()))

    async def one_after_the_other() -> None:
        while not is_stopping() and await _one(found, known, rehearsal, at or clock.now(), another):
            pass

    another()
    try:
        for sender in senders:  # grows meanwhile
            await asyncio.wait({sender})
    finally:
        for sender in senders:
            sender.cancel()
    # whoever failed has left the others time to write down what they have sent
    for sender in senders:
        sender.result()
    return found


async def _one(found: Round, known: Channels, rehearsal: str | None, at: datetime, another: Callable[[], None]) -> bool:
    """Send the notice that is due first, and let `another` look for the next; False when there is none."""
    outbox_id = None
    left_out: LeftOut = []
    try:
        async with transaction() as connection:
            row = await outbox.claim(connection, at=at, rehearsal=rehearsal)
            if row is None:
                return False
            outbox_id = row["id"]
            try:
                async with connection.begin_nested():
                    begun = await _begin(connection, row, known, rehearsal, at, left_out)
            except (sqlalchemy.exc.OperationalError, OSError):
                raise
            except Exception as error:
                # before anybody else gets hold of it
                await _put_off_bad(connection, outbox_id, error, found, at)
                begun, left_out = None, []
        another()
        if left_out:
            await _tell_left_out(found, row, left_out, at)
        elif isinstance(begun, str):
            await _end(found, row, begun, known, at)
        elif begun is not None:
            outcomes = await asyncio.gather(*(_send(begun, address, known) for address in begun.now))
            await _after(begun, outcomes, known, at, found)
        return True
    except (sqlalchemy.exc.OperationalError, OSError):
        raise
    except Exception as error:
        if outbox_id is None:
            raise
        async with transaction() as connection:
            await _put_off_bad(connection, outbox_id, error, found, at)
        return True


async def _put_off_bad(
    connection: AsyncConnection, outbox_id: int, error: Exception, found: Round, at: datetime
) -> None:
    """One bad item stops nothing: report it, and look at it again later."""
    log.exception("Notice %s cannot be sent", outbox_id)
    await outbox.put_off(connection, outbox_id, at + LEASE, f"出错（{type(error).__name__}），稍后再试")
    found.told.append(Told(outbox_id, "", "", "", f"出错：{type(error).__name__}"))


async def _tell_left_out(found: Round, row: Mapping[str, Any], left_out: LeftOut, at: datetime) -> None:
    """
    Withdraw what a digest leaves out, each in one transaction with the word in its history, under its case's lock.

    Then the digest is looked at again: what it is told to tell from here on, it tells.
    """
    for member, why in left_out:
        found.withdrawn += 1
        async with transaction() as connection:
            if member["case_no"] is not None:
                await cases.lock(connection, member["case_no"])
            came = (await outbox.withdraw(connection, [member["id"]], why, at)).get(member["id"], "")
            if member["case_no"] is not None:
                await notices.say_withdrawn(connection, member, why, came=came, at=at)
    async with transaction() as connection:
        await outbox.put_off(connection, row["id"], at)


async def _end(found: Round, row: Mapping[str, Any], why: str, known: Channels, at: datetime) -> None:
    """End a notice before it was sent, and let the history say why, in one transaction (P-12)."""
    async with transaction() as connection:
        # first the case, then its notice, as everybody does who ends a matter
        if row["case_no"] is not None:
            await cases.lock(connection, row["case_no"])
        if not await outbox.take(connection, row["id"]):
            return
        if why.startswith(NO_CONTACT):
            await _give_up(connection, row, why, (), known, at)
            found.told.append(Told(row["id"], row["case_no"] or "", _reader().recipient(row["recipient"]), "", why))
            return
        came = (await outbox.withdraw(connection, [row["id"]], why, at)).get(row["id"], "")
        found.withdrawn += 1
        if row["case_no"] is not None:
            await notices.say_withdrawn(connection, row, why, came=came, at=at)


# --- before ---------------------------------------------------------------------------------------------------------


async def _begin(
    connection: AsyncConnection,
    row: Mapping[str, Any],
    known: Channels,
    rehearsal: str | None,
    at: datetime,
    left_out: LeftOut,
) -> Message | str | None:
    """Write down that a notice is being sent; a sentence when it has ended, None when it is put off."""
    terms = current_terms()
    staff = terms.staff()
    # whoever ends it takes the case's lock first: until then it is out of the others' sight
    await outbox.put_off(connection, row["id"], at + LEASE)
    if stale := await _stale(connection, row, at, terms):
        return stale
    to = await _whom(connection, row["recipient"], known, at, terms, is_rehearsed=rehearsal is not None)
    own = await records.quiet_of_customer(connection, row["case_no"]) if to.recipient == CUSTOMER else ""
    quiet = deliveries.quiet_until(to.recipient, at, house=terms.house, sending=terms.sending, staff=staff, own=own)
    if quiet is not None:
        await outbox.leave_out_of_quiet(connection, row["id"], quiet - at)
        await outbox.put_off(connection, row["id"], quiet, QUIET)
        return None
    if rehearsal is not None:
        addresses, called = known.rehearsal, f"（发给{_reader().recipient(to.recipient)}）"
    elif to.recipient == CUSTOMER:
        if not known.reach_customers:
            await outbox.put_off(connection, row["id"], None, outbox.NO_CHANNEL)
            return None
        called = ""
        addresses, lack = known.of_customer(await records.reach_customer(connection, row["case_no"]))
        if not addresses:
            return f"{NO_CONTACT}：{lack}" if lack else NO_CONTACT
    else:
        addresses, called = known.of(to.recipient, staff)
        if addresses and row["notice"] != DIGEST:
            most, since = terms.sending.digest_above, at - A_MINUTE
            full = await outbox.last_sent(connection, row["recipient"], most, since)
            if full is not None:
                # not longer than that though the clock was put back since
                await outbox.put_off(connection, row["id"], min(full, at) + A_MINUTE, MANY)
                return None
    if not addresses:
        # absences go by days: by the next one whoever has a channel may be back
        on = clocks.house_date(at, house=terms.house)
        until = clocks.end_of_day(on, house=terms.house) if to.note else None
        await outbox.put_off(connection, row["id"], until, outbox.NO_CHANNEL)
        return None
    return await _address(
        connection, row, to, addresses, called, at, terms, is_rehearsed=rehearsal is not None, left_out=left_out
    )


async def _whom(
    connection: AsyncConnection,
    recipient: str,
    known: Channels,
    at: datetime,
    terms: Terms,
    *,
    is_rehearsed: bool = False,
) -> Whom:
    """Tell who gets what is meant for a recipient now: of those who stand in, whoever can be reached."""
    if not recipient.startswith("staff:"):
        return Whom(recipient)
    staff = terms.staff()
    return deliveries.whom(
        recipient,
        away=await outbox.absences(connection, clocks.house_date(at, house=terms.house)),
        house=terms.house,
        staff=staff,
        # a rehearsal's channel reaches everybody
        is_reached=lambda each: is_rehearsed or bool(known.of(each, staff)[0]),
    )


async def _address(
    connection: AsyncConnection,
    row: Mapping[str, Any],
    to: Whom,
    addresses: tuple[Address, ...],
    called: str,
    at: datetime,
    terms: Terms,
    *,
    is_rehearsed: bool,
    left_out: LeftOut,
) -> Message | str | None:
    """Choose the addresses that a notice goes to now: of a customer's the first that works, else all."""
    before = await outbox.deliveries(connection, row["id"])
    marks = {address.mark for address in addresses}
    for mark, stood in before.items():
        if mark not in marks and stood["state"] not in ("sent", "given_up"):
            await outbox.keep(connection, row["id"], mark, state="given_up", reason=ELSEWHERE, **_kept(stood))
    # in one order for all, so that two senders never wait for each other
    for mark in sorted(address.mark for address in addresses if address.per_minute is not None):
        await outbox.one_at_a_time(connection, mark)
    now: list[Address] = []
    begun: list[dict[str, Any]] = []
    later: list[datetime] = []
    again: set[str] = set()
    doubtful: set[str] = set()
    for address in addresses:
        stood = before.get(address.mark, {})
        if stood.get("state") in ("sent", "given_up"):
            continue
        first_at = stood.get("first_at") or at
        place = {"channel": address.channel, "told": to.recipient}
        wait, why = await _must_wait(connection, stood, address, at, first_at, terms)
        if wait is not None and wait <= at:
            why = stood["reason"] if stood.get("state") == "failed" else why
            await outbox.keep(connection, row["id"], address.mark, **place, state="given_up", reason=why)
        elif wait is not None:
            await outbox.keep(
                connection,
                row["id"],
                address.mark,
                **place,
                state=stood.get("state", "queued"),
                first_at=first_at,
                next_at=wait,
                # why it failed is worth more than why it waits
                reason=(stood.get("state") == "failed" and stood["reason"]) or why or stood.get("reason", ""),
            )
            later.append(wait)
        else:
            is_doubtful = stood.get("state") == "sending" or stood.get("is_doubtful", False)
            begun.append(
                {
                    "address": address.mark,
                    **place,
                    "state": "sending",
                    "tries": stood.get("tries", 0) + 1,
                    "is_doubtful": is_doubtful,
                    "first_at": first_at,
                    "begun_at": clock.now(),
                    "reason": to.note,
                }
            )
            now.append(address)
            again |= {address.mark} if stood.get("tries") else set()
            doubtful |= {address.mark} if is_doubtful else set()
        if row["recipient"] == CUSTOMER:
            break
    if not now:
        if later and row["recipient"] != CUSTOMER:
            await outbox.put_off(connection, row["id"], min(later))
            return None
        # nothing is left to send here: it is only concluded
        return Message(is_rehearsed, row, to, (), frozenset(), frozenset(), addresses, "", "", "", "", ())
    words = await _words(connection, row, called, at, terms, left_out)
    if left_out:
        return None
    if words is None:
        return deliveries.DONE
    for stands in begun:
        await outbox.keep(connection, row["id"], **stands)
    return Message(is_rehearsed, row, to, tuple(now), frozenset(again), frozenset(doubtful), addresses, *words)


def _kept(stood: Mapping[str, Any]) -> dict[str, Any]:
    """What an upsert must name although it stays."""
    return {"channel": stood["channel"], "told": stood["told"]}


async def _must_wait(
    connection: AsyncConnection,
    stood: Mapping[str, Any],
    address: Address,
    at: datetime,
    first_at: datetime,
    terms: Terms,
) -> tuple[datetime | None, str]:
    """When an address may be sent to, and why not now; None: now, what is past: never more."""
    if stood.get("state") == "failed" and stood["next_at"] > at:
        return stood["next_at"], ""
    now = clock.now()
    outcomes = await outbox.last_outcomes(connection, address.mark, now - A_MINUTE, FAILURES)
    if len(outcomes) == FAILURES and {state for state, _ in outcomes} == {"failed"}:
        rested = deliveries.rested_at(at, first_at=first_at, sending=terms.sending)
        # whoever gives up hears why the address failed, not that it rested
        return (rested, RESTING) if rested is not None else (at, outcomes[0][1])
    if address.per_minute is not None:
        begun = await outbox.begun_lately(connection, address.mark, now - A_MINUTE, address.per_minute)
        if len(begun) == address.per_minute:
            return at + (begun[-1] + A_MINUTE - now) + timedelta(seconds=1), CROWDED
    return None, ""


async def _stale(connection: AsyncConnection, row: Mapping[str, Any], at: datetime, terms: Terms) -> str:
    """Say why a notice is not worth sending any more; empty when it is (P-12, NUM-224)."""
    if row["expires_at"] is not None and at >= row["expires_at"]:
        return EXPIRED
    if row["case_no"] is None:
        return ""
    if notices.asks_how_it_was(row) and await people.is_opted_out_of(connection, row["case_no"]):
        return surveys.OPTED_OUT
    promise = await outbox.promise_of(connection, row["case_no"], row["entry"].partition(".")[0])
    return deliveries.pointless(row["notice"], row["entry"], promise, at=at, escalation=terms.escalation)


async def _words(
    connection: AsyncConnection, row: Mapping[str, Any], called: str, at: datetime, terms: Terms, left_out: LeftOut
) -> tuple[str, str, str, str, tuple[int, ...]] | None:
    """What a notice says now: subject, text, text for SMS, page, and of which notices; None: nothing is left to say."""
    # at night it was another delay (P-10)
    subject, body, short = row["subject"], _as_of(at, row, row["body"]), _as_of(at, row, row["data"].get("short", ""))
    if row["recipient"] == CUSTOMER:
        return subject, f"{called}{body}", short or body, "", (row["id"],)
    number = f"通知编号：{row['id']}"
    if row["notice"] == DIGEST:
        members: dict[int, deliveries.Item] = {}
        # whoever withdraws one waits until it is written down that the digest is under way with it
        for member in await outbox.digested(connection, row["id"], is_locked=True):
            if why := await _stale(connection, member, at, terms):
                left_out.append((member, why))
            else:
                members[member["id"]] = _item(member, at, await _link(connection, member))
        if not members:
            return None
        items, above = list(members.values()), f"{called}{TO_DO}"
        subject, body = deliveries.digest(items)
        body, page = "\n".join([above, body, number]), deliveries.digest_page(items, above=above, below=number)
        return subject, body, body, page, tuple(members)
    link = await _link(connection, row)
    body = "\n".join([f"{called}{body}", *([f"查看和办理：{link}"] if link else []), number])
    return subject, body, body, "", (row["id"],)


def _item(row: Mapping[str, Any], at: datetime, link: str = "") -> deliveries.Item:
    """What a digest says of a notice: by when and what was missed before, or else its text."""
    data = row["data"]
    if "due" not in data:
        return deliveries.Item(row["subject"], text=_as_of(at, row, row["body"]), link=link)
    late = _delay(row, at) if "late" in data else ""
    return deliveries.Item(row["subject"], due=data["due"], late=late, missed=data.get("missed", ""), link=link)


def _as_of(at: datetime, row: Mapping[str, Any], text: str) -> str:
    """A text of a notice with the delay that is true now."""
    late = row["data"].get("late")
    return text.replace(late, _delay(row, at), 1) if late else text


def _delay(row: Mapping[str, Any], at: datetime) -> str:
    return pages.spoken_delay(datetime.fromisoformat(row["data"]["due_at"]), at)


async def _link(connection: AsyncConnection, row: Mapping[str, Any]) -> str:
    run_id = await outbox.run_of(connection, row["case_no"]) if row["case_no"] else None
    return links.run(links.home(), run_id) if run_id and links.home() else ""


# --- the send, and after --------------------------------------------------------------------------------------------


async def _send(message: Message, address: Address, known: Channels) -> Outcome:
    is_doubtful = address.mark in message.doubtful
    subject = deliveries.doubted(message.subject) if is_doubtful else message.subject
    if message.is_rehearsed:
        subject = f"{REHEARSED}{subject}"
    body = message.short if address.channel == channels.SMS else message.body
    # the SMS gateway knows the key again by itself; whoever has only the text is told that it may be the second
    if is_doubtful and address.channel != channels.SMS and message.row["recipient"] == CUSTOMER:
        body = f"{body}\n（通知编号：{message.row['id']}）"
    key = f"notice-{message.row['id']}"
    return await known.send(address, subject, body, page=message.page, key=key, again=address.mark in message.again)


async def _after(message: Message, outcomes: Sequence[Outcome], known: Channels, at: datetime, found: Round) -> None:
    """Write down what came of a notice, and have the last word of what was withdrawn while it was under way."""
    async with transaction() as connection:
        # first the cases, then their notices, as everybody does
        await outbox.lock_cases(connection, [message.row["id"], *message.told])
        far = await _record(connection, message, outcomes, known, at, found)
        for each in await outbox.withdrawn_under_way(connection, message.told):
            had = each["data"][outbox.HAD]
            now = await outbox.have_come(connection, each["id"], had, far)
            if each["case_no"] is not None and each["state"] == "withdrawn":
                await notices.say_last(connection, each, before=outbox.how_far(had), came=outbox.how_far(now), at=at)


async def _record(
    connection: AsyncConnection,
    message: Message,
    outcomes: Sequence[Outcome],
    known: Channels,
    at: datetime,
    found: Round,
) -> dict[str, str]:
    """Write down what came of a notice at each address, and whether it is at its end; answers how far it came where."""
    row, terms = message.row, current_terms()
    is_sent = any(each.outcome == "done" for each in outcomes)
    before = await outbox.deliveries(connection, row["id"])
    who = _reader().recipient(message.to.recipient)
    far: dict[str, str] = {}
    for address, outcome in zip(message.now, outcomes, strict=True):
        stood = before[address.mark]
        again = deliveries.try_again_at(at, tries=stood["tries"], first_at=stood["first_at"], sending=terms.sending)
        state = "sent" if outcome.outcome == "done" else "failed"
        if state == "failed" and (again is None or outcome.outcome == "refused"):
            state = "given_up"
        stands = {
            **_kept(stood),
            "state": state,
            # whoever did not answer may have it: the next one says so
            "is_doubtful": stood["is_doubtful"] or (outcome.outcome == "unknown" and address.channel != channels.SMS),
            "next_at": again if state == "failed" else None,
            "ended_at": clock.now(),
            "reason": message.to.note if state == "sent" else outcome.reason,
        }
        await outbox.keep(connection, row["id"], address.mark, **stands)
        before[address.mark] = {**stood, **stands}
        # also a text may have arrived that nobody asks the gateway about any more
        may_have = stands["is_doubtful"] or outcome.outcome == "unknown"
        far[address.mark] = outbox.SENT if state == "sent" else outbox.MAYBE if may_have else ""
        if state == "sent":
            found.sent += 1
        else:
            told = f"{outcome.reason}，{'稍后再试' if state == 'failed' else '不再发送'}"
            found.told.append(Told(row["id"], row["case_no"] or "", who, address.channel, told))
    if is_sent and row["case_no"] is not None and message.to.note:
        await notices.say(connection, row, message.to.note, what="stand_in", at=at)
    await _conclude(connection, message, before, known, at)
    return far


async def _conclude(
    connection: AsyncConnection,
    message: Message,
    stands: Mapping[str, Mapping[str, Any]],
    known: Channels,
    at: datetime,
) -> None:
    """End a notice that has nothing before it at any address."""
    row = message.row
    mine = [stands.get(a.mark, {}) for a in message.addresses]
    is_sent = any(each.get("state") == "sent" for each in mine)
    is_ended = all(each.get("state") in ("sent", "given_up") for each in mine)
    if is_ended or (is_sent and row["recipient"] == CUSTOMER):
        lost = "；".join(dict.fromkeys(each["reason"] for each in mine if each and each["state"] == "given_up"))
        if is_sent:
            await outbox.settle(connection, row["id"], "sent", at=at, reason=lost)
        else:
            await _give_up(connection, row, lost, message.addresses, known, at)
        return
    # a customer's next address is tried at once, the others when they may be
    waiting = [each.get("next_at") or at for each in mine if each.get("state") not in ("sent", "given_up")]
    await outbox.put_off(connection, row["id"], waiting[0] if row["recipient"] == CUSTOMER else min(waiting))


async def _give_up(
    connection: AsyncConnection,
    row: Mapping[str, Any],
    why: str,
    dead: Sequence[Address],
    known: Channels,
    at: datetime,
) -> None:
    """
    End a notice that reaches nobody, and tell the next level instead (P-11); under the case's lock.

    A level that is reached at the same dead addresses alone is passed over.
    """
    members = await _members(connection, row)
    if row["notice"] == DIGEST and not members:
        await outbox.settle(connection, row["id"], "withdrawn", at=at, reason=deliveries.DONE)
        return
    if not await outbox.settle(connection, row["id"], "given_up", at=at, reason=why):
        return
    case = await cases.read(connection, row["case_no"]) if row["case_no"] else None
    for each in [*members, *([row] if case is not None else [])]:
        if each["case_no"] is not None:
            await notices.say(connection, each, f"没有送达：{why}", what="given_up", at=at)
    if row["notice"] in notices.PRIVATE:
        return  # whoever asks by phone instead is told by the survey itself
    above = await _above(connection, row["recipient"], dead, known, at)
    if not above:
        log.warning("Notice %s reached nobody, and nobody is above", row["id"])
        return
    subject, body = _original(row, members, at)
    await outbox.put(
        connection,
        is_rehearsed=case is not None and case.rehearsal is not None,
        case_no=row["case_no"],
        entry=f"{row['entry']}.undelivered",
        # of the same kind: when the matter is done, there is nothing to tell here either
        notice=row["notice"] if row["notice"] != DIGEST else DESK,
        recipient=above,
        language=row["language"],
        subject=f"没有送达：{subject}",
        body=f"发给{_reader().recipient(row['recipient'])}的通知没有送达（{why}），请另行告知。{body}",
        data={},
        created_at=at,
        expires_at=None,
    )


async def _above(
    connection: AsyncConnection, recipient: str, dead: Sequence[Address], known: Channels, at: datetime
) -> str:
    """Tell who hears of it when nothing reaches a recipient, by themselves or by whoever stands in; empty: nobody."""
    terms = current_terms()
    staff, owner = terms.staff(), terms.returns.stages["review"].owner
    above = recipient
    while above := deliveries.above(above, house=terms.house, staff=staff, owner=owner):
        to = await _whom(connection, above, known, at, terms)
        addresses, _ = known.of(to.recipient, staff)
        if not addresses or set(addresses) - set(dead):
            break
    return above


async def _members(connection: AsyncConnection, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a digest still has to tell, under the lock of each of its cases."""
    if row["notice"] != DIGEST:
        return []
    # first the cases, then their notices, and in one order for all
    for case_no in sorted({each["case_no"] for each in await outbox.digested(connection, row["id"])} - {None}):
        await cases.lock(connection, case_no)
    return await outbox.digested(connection, row["id"])


def _original(row: Mapping[str, Any], members: Sequence[Mapping[str, Any]], at: datetime) -> tuple[str, str]:
    """
    Quote a notice to others than its recipient, of a digest what it still has to tell: subject and text.

    A customer's own link is for nobody else (P-22).
    """
    subject, body = row["subject"], row["body"]
    if members:
        subject, body = deliveries.digest([_item(each, at) for each in members])
    return subject, "" if row["notice"] in notices.PRIVATE else f"原文：{body}"


async def _digest(at: datetime) -> None:
    """Make one message of what would be too many for one department or person."""
    terms = current_terms()
    async with transaction() as connection:
        crowded = await outbox.crowded(connection, at=at, above=terms.sending.digest_above)
    for recipient in crowded:
        if deliveries.quiet_until(recipient, at, house=terms.house, sending=terms.sending, staff=terms.staff()):
            continue  # at its end there may be more, and fewer
        while await _digest_of(recipient, at, terms):
            pass


async def _digest_of(recipient: str, at: datetime, terms: Terms) -> bool:
    """Make one message of what is due for a recipient, as much as one takes in; whether there is more of it."""
    async with transaction() as connection:
        rows = await outbox.loose(connection, recipient, at=at)
        # what is stale is ended one by one, with a word in its case's history
        members = [row for row in rows if not await _stale(connection, row, at, terms)]
        if len(members) > terms.sending.digest_above:
            subject, body = deliveries.digest([_item(row, at) for row in members])
            await outbox.digest(
                connection,
                [row["id"] for row in members],
                entry=f"digest.{members[0]['id']}-{members[-1]['id']}",
                recipient=recipient,
                language=terms.house.language,
                subject=subject,
                body=body,
                data={},
                created_at=at,
                expires_at=None,
            )
    return len(members) > terms.sending.digest_above and len(rows) == outbox.MOST_DIGESTED


def _reader() -> pages.Reader:
    return desks.reader(current_terms())


# --- always at work -------------------------------------------------------------------------------------------------

# read once a process, and whether what waited for a channel was looked at since
_known: Channels | None = None
_has_begun = False


def known_channels() -> Channels:
    """The channels of this installation. Raises Unable."""
    global _known
    if _known is None:
        terms = current_terms()
        _known = channels.load(settings(), house=terms.house, staff=terms.staff())
    return _known


async def send_what_is_due(is_stopping: Callable[[], bool] = lambda: False) -> Round:
    """Send what has been written by now; costs one short question when there is nothing."""
    global _has_begun
    async with transaction() as connection:
        if not _has_begun:
            # what waits for a channel may have one since this process was started
            await outbox.look_again(connection, _reached(known_channels()), clock.now())
        is_due = await outbox.is_anything_due(connection, clock.now())
    _has_begun = True
    return await look(known_channels(), is_stopping=is_stopping) if is_due else Round()


def _reached(known: Channels) -> list[str]:
    """Every recipient who has an address, or whose customers' channel there is."""
    terms = current_terms()
    staff = terms.staff()
    anybody = [*(f"department:{code}" for code in terms.house.departments), *(f"staff:{person}" for person in staff)]
    return [each for each in anybody if known.of(each, staff)[0]] + ([CUSTOMER] if known.reach_customers else [])


# --- for people -----------------------------------------------------------------------------------------------------


async def test(whom: str) -> list[tuple[str, str]]:
    """
    Send a real message to each address of a department or a member of staff; answers channel and why not (empty: sent).

    Raises Unable: nobody of that name, or no address.
    """
    terms = current_terms()
    code = desks.department(whom, terms)
    if not code and whom not in terms.staff():
        raise Unable(f"没有部门或员工“{whom}”，部门可写：{desks.departments(terms)}；员工写编号，如 C07。")
    recipient = f"department:{code}" if code else f"staff:{whom}"
    addresses, called = known_channels().of(recipient, terms.staff())
    if not addresses:
        name, path = _reader().recipient(recipient), settings().channels_file or settings().home / channels.SECRETS.name
        raise Unable(f"{name}还没有通知渠道，请写进 {path} 后重新启动（样子见 {channels.SECRETS.page}）。")
    at = clocks.spoken(clock.now(), house=terms.house)
    body = f"{called}这是一条试验消息，收到说明渠道可用，不用处理。发出时间：{at}。"
    outcomes = await asyncio.gather(
        *(known_channels().send(each, "通知渠道测试", body, key=f"test-{uuid4()}") for each in addresses)
    )
    return [
        (each.channel, "" if outcome.outcome == "done" else outcome.reason)
        for each, outcome in zip(addresses, outcomes, strict=True)
    ]


async def waiting(limit: int) -> tuple[list[dict[str, Any]], int]:
    """What has not arrived yet, the oldest first, and how many there are in all; rehearsals left out."""
    terms = current_terms()
    reader = _reader()
    async with transaction() as connection:
        rows, total = await outbox.waiting(connection, limit)
    return [
        {
            "id": row["id"],
            "case_no": row["case_no"] or "",
            "to": reader.recipient(row["recipient"]),
            "subject": row["subject"],
            "created": clocks.spoken(row["created_at"], house=terms.house),
            "next": clocks.spoken(row["next_at"], house=terms.house) if row["next_at"] else "",
            "tries": row["tries"],
            "reason": UNDER_WAY if row["stands"] == "sending" else row["failure"] or row["reason"] or "等待发送",
        }
        for row in rows
    ], total

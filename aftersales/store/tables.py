"""
The rows. SQLModel describes them; queries live in their own modules and use Core statements.

Instants are `timestamptz`, money is `numeric(14,2)`, `_on` is a date of the house zone.
The journal is append-only: a trigger in the database refuses every update and delete (migrations).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

# the first year without calendar that a promise was counted with
UNCOUNTED = "substring(calendars, '([0-9]{4}):-')"
# what stands on an owner's list: not the limit of a whole case that is still far, for its gate stands there already
LISTED = "(stage <> 'outer' or rungs > 0)"
# its order: what was reminded of or is late, what has time, what presses nobody here (the customer's time)
PRESSING = ("(rungs = 0)", "(rungs = 0 and rung_at is null)", "coalesce(lapses_at, due_at)")


def _key() -> Any:
    return Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))


def _instant(*, null: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=null, index=index))


def _money(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Numeric(14, 2), nullable=null))


def _json(default: str = "{}") -> Any:
    return Field(default=None, sa_column=Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb")))


def _text(*, null: bool = False, default: str | None = "") -> Any:
    if null:
        return Field(default=None, sa_column=Column(Text, nullable=True))
    return Field(default=default, sa_column=Column(Text, nullable=False, server_default=text("''")))


# --- orders ---------------------------------------------------------------------------------------------------------


class CustomerRow(SQLModel, table=True):
    """A customer: channel and customer number are the key; phone and email are attributes, never keys."""

    __tablename__ = "customers"
    __table_args__ = (UniqueConstraint("channel", "customer_no"),)
    id: int | None = _key()
    channel: str
    customer_no: str
    name: str = _text()
    phone: str = _text()
    email: str = _text()
    language: str = Field(default="zh")
    opted_out: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    # when they want to hear nothing, as `20:00-10:00`; empty: the hours of all customers
    quiet: str = _text()
    # the monthly visits end with this day, as the customer wished; none: with the warranty (FUP-02)
    visits_until: date | None = Field(default=None, sa_column=Column(Date, nullable=True))


class GuestRow(SQLModel, table=True):
    """What a guest wishes, by the name of the person that `store.people` gives: their telephone, else their order."""

    __tablename__ = "guests"
    person: str = Field(sa_column=Column(Text, primary_key=True))
    opted_out: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class OrderRow(SQLModel, table=True):
    """An order. A guest's order has no customer; the contact stands on the order. `rehearsal` marks rehearsed ones."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("order_no"),
        Index("orders_ordered", "ordered_at"),
        Index("orders_of_guests", "contact_phone", postgresql_where=text("customer_id is null")),
    )
    id: int | None = _key()
    order_no: str
    channel: str
    customer_id: int | None = Field(default=None, foreign_key="customers.id", index=True)
    region: str = _text()
    currency: str = Field(default="CNY")
    contact_name: str = _text()
    contact_phone: str = _text()
    contact_email: str = _text()
    ordered_at: datetime = _instant()
    paid: Decimal = _money()
    freight: Decimal = _money()
    insured_freight: Decimal = _money()
    payment_route: str = _text()
    rehearsal: str | None = Field(default=None, foreign_key="rehearsals.id", index=True)
    source: str = _text()


class OrderLineRow(SQLModel, table=True):
    """A line of an order; `paid` is what was paid for it after every discount."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_id", "line_no"),
        Index("order_lines_delivered", "delivered_at", postgresql_where=text("delivered_at is not null")),
    )
    id: int | None = _key()
    order_id: int = Field(foreign_key="orders.id", index=True)
    line_no: int
    sku: str
    name: str = _text()
    category: str = _text()
    attributes: dict = _json()
    quantity: int
    paid: Decimal = _money()
    delivered_at: datetime | None = _instant(null=True)
    warranty_months: int = Field(default=12)
    is_gift: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class UnitsRow(SQLModel, table=True):
    """
    The unit ledger: a run of units of a line, held or settled by one case of one process (P-19, P-20).

    `end_unit` is excluded. State: held | settled | released.
    """

    __tablename__ = "units"
    __table_args__ = (Index("units_taken", "line_id", postgresql_where=text("state <> 'released'")),)
    id: int | None = _key()
    line_id: int = Field(foreign_key="order_lines.id")
    first_unit: int
    end_unit: int
    case_no: str = Field(index=True)
    process: str
    state: str


# --- cases ----------------------------------------------------------------------------------------------------------


class TermsRow(SQLModel, table=True):
    """The terms a case is judged by, under the hash of their content (GEN-07)."""

    __tablename__ = "terms"
    hash: str = Field(primary_key=True)
    document: dict = _json()
    stored_at: datetime = _instant()


class RehearsalRow(SQLModel, table=True):
    """A rehearsal and its clock (design §5)."""

    __tablename__ = "rehearsals"
    id: str = Field(primary_key=True)
    now_at: datetime = _instant()


class CounterRow(SQLModel, table=True):
    """The counter of a day's case numbers; gaps are allowed."""

    __tablename__ = "counters"
    name: str = Field(primary_key=True)
    value: int


class CaseRow(SQLModel, table=True):
    """A case's current state. What happened stands in the journal; `seq` and `last_hash` are the journal's end."""

    __tablename__ = "cases"
    __table_args__ = (
        Index("cases_open", "stage", postgresql_where=text("closed_at is null")),
        Index("cases_closed", "closed_at", postgresql_where=text("closed_at is not null")),
        # one list of visits for each agent and day
        Index(
            "cases_lists",
            "operator",
            text("(facts ->> 'on')"),
            text("coalesce(rehearsal, '')"),
            unique=True,
            postgresql_where=text("process = 'visits'"),
        ),
    )
    case_no: str = Field(primary_key=True)
    process: str
    order_no: str = Field(index=True)
    channel: str = _text()
    stage: str
    owner: str
    opened_at: datetime = _instant()
    closed_at: datetime | None = _instant(null=True)
    operator: str
    terms_hash: str = Field(foreign_key="terms.hash")
    rehearsal: str | None = Field(default=None, foreign_key="rehearsals.id", index=True)
    facts: dict = _json()
    seq: int = Field(default=0)
    last_hash: str = _text()


class RunRow(SQLModel, table=True):
    """Which Prefect run tells which case; the newest generation is the living one."""

    __tablename__ = "runs"
    run_id: UUID = Field(primary_key=True)
    case_no: str = Field(index=True)
    generation: int
    artifacts: dict = _json()


class JournalRow(SQLModel, table=True):
    """One thing that happened to a case (AUD-01). Never updated; intent and outcome are two rows."""

    __tablename__ = "journal"
    __table_args__ = (
        UniqueConstraint("case_no", "entry"),
        # by the number of the parcel in which the goods travel
        Index("journal_parcels", text("(data ->> 'tracking_no')"), postgresql_where=text("kind = 'decision'")),
    )
    case_no: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    entry: str
    kind: str
    at: datetime = _instant()
    actor: str
    due_at: datetime | None = _instant(null=True)
    rule: str = _text()
    data: dict = _json()
    prev_hash: str = _text()
    hash: str


class RefusalRow(SQLModel, table=True):
    """An application that could not be opened (design §3): who asked for what, and the sentence they got."""

    __tablename__ = "refusals"
    id: int | None = _key()
    at: datetime = _instant()
    operator: str = _text()
    order_no: str = _text()
    reason: str
    run_id: UUID | None = Field(default=None, index=True, unique=True)
    data: dict = _json()


class ApplicationRow(SQLModel, table=True):
    """
    An application that no member of staff typed: from the customer's page or a shop system (RET-01).

    `key` is what the sender calls it by, so that the same one counts once; the run is the one it was handed to.
    """

    __tablename__ = "applications"
    __table_args__ = (UniqueConstraint("via", "key"),)
    id: UUID = Field(primary_key=True)
    via: str
    key: str
    # of what was asked for: another application under the same key is none
    fingerprint: str
    # as it was handed over, personal data masked, to be handed over again should its run be lost
    request: dict = _json()
    order_no: str = Field(index=True)
    operator: str
    # whether the first-contact owner was chosen by us, and not named by the sender
    is_assigned: bool = Field(default=True)
    run_id: UUID | None = Field(default=None, index=True)
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))


class AttemptRow(SQLModel, table=True):
    """
    How often somebody has tried something on the customer's page, until when it counts (AMB-47).

    `mark` stands for who and what: nobody can read from it an address or an order.
    """

    __tablename__ = "attempts"
    mark: str = Field(primary_key=True)
    count: int
    until_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))


class RequestRow(SQLModel, table=True):
    """
    A request of a shop system under its own key, and the answer it got: sent again, it gets the same one.

    Without an answer it is in hand, or whoever had it in hand died.
    """

    __tablename__ = "requests"
    client: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    # of method, address and body: another request under the same key is none
    fingerprint: str
    begun_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))
    status: int | None = Field(default=None)
    # to the letter
    answer: str = _text()


class PromiseRow(SQLModel, table=True):
    """A deadline with an owner (design §5). The trace says why the due time is what it is."""

    __tablename__ = "promises"
    __table_args__ = (
        UniqueConstraint("case_no", "entry"),
        Index("promises_open", "due_at", postgresql_where=text("ended_at is null")),
        Index("promises_lapsing", "lapses_at", postgresql_where=text("ended_at is null and lapses_at is not null")),
        Index("promises_reminding", "remind_at", postgresql_where=text("ended_at is null and remind_at is not null")),
        Index("promises_climbing", "rung_at", postgresql_where=text("ended_at is null and rung_at is not null")),
        # what is open of an owner, the most pressing first; with all that a count reads, so that it reads no row
        Index(
            "promises_pressing",
            "owner",
            *map(text, PRESSING),
            "id",
            postgresql_where=text(f"ended_at is null and {LISTED}"),
            postgresql_include=["stage", "case_no", "rungs", "rung_at", "due_at"],
        ),
        Index(
            "promises_uncounted",
            text(f"({UNCOUNTED})"),
            "id",
            postgresql_where=text(f"ended_at is null and {UNCOUNTED} is not null"),
        ),
        Index("promises_untagged", "case_no", postgresql_where=text("retags and ended_at is null")),
    )
    id: int | None = _key()
    case_no: str
    entry: str
    stage: str
    owner: str
    rule: str
    limit: str
    started_at: datetime = _instant()
    due_at: datetime = _instant()
    provisional: bool = Field(default=False)
    calendars: str = _text()
    trace: dict = _json()
    gate: dict = _json()  # what the gate's form offers and is checked against, for whoever decides outside the UI
    lapses_at: datetime | None = _instant(null=True)  # when the gate answers itself, because nobody did
    remind_at: datetime | None = _instant(null=True)  # when the customer is reminded; empty again once that is done
    # which rungs of its ladder are behind, how many, and when the next one is reached
    told: list = _json("[]")
    rungs: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    rung_at: datetime | None = _instant(null=True)
    # whether the tags of the case's run are to be set again: it climbed, or got more time after it had
    retags: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    ended_at: datetime | None = _instant(null=True)


class InboxRow(SQLModel, table=True):
    """An event from the world, committed before it wakes anybody. `key` makes it count once."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("inbox_waiting", "case_no", postgresql_where=text("taken_at is null")),
    )
    id: int | None = _key()
    key: str
    case_no: str | None = Field(default=None)
    event: str
    actor: str
    data: dict = _json()
    received_at: datetime = _instant()
    taken_at: datetime | None = _instant(null=True)


class OutboxRow(SQLModel, table=True):
    """A notice, written in the same transaction as what it tells about (design §8). Holds ids, never contact data."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("case_no", "entry", "recipient"),
        Index("outbox_due", "next_at", "id", postgresql_where=text("state = 'queued'")),
        Index("outbox_told", "recipient", "settled_at"),
        Index("outbox_digested", "digest_id", postgresql_where=text("digest_id is not null")),
    )
    id: int | None = _key()
    case_no: str | None = Field(default=None)
    entry: str
    notice: str
    recipient: str
    language: str
    subject: str
    body: str
    data: dict = _json()
    state: str = Field(default="queued")
    reason: str = _text()
    created_at: datetime = _instant()
    expires_at: datetime | None = _instant(null=True)
    # none: it waits for a channel
    next_at: datetime | None = _instant(null=True)
    settled_at: datetime | None = _instant(null=True)
    digest_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class DeliveryRow(SQLModel, table=True):
    """
    A notice at one address: `queued`, `sending`, `sent`, `failed` (to be tried again) or `given_up` (P-11).

    An address is named by a mark that nobody can call it by. `first_at` and `next_at` are on the case's clock,
    `begun_at` and `ended_at` on the wall's. What is `sending` for longer than a send may take was begun by somebody who
    died: nobody knows whether it arrived.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("outbox_id", "address"),
        Index("deliveries_lately", "address", "begun_at"),
        ForeignKeyConstraint(["outbox_id"], ["outbox.id"]),
    )
    id: int | None = _key()
    outbox_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    address: str
    channel: str
    told: str
    state: str
    tries: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    is_doubtful: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    reason: str = _text()
    first_at: datetime | None = _instant(null=True)
    next_at: datetime | None = _instant(null=True)
    begun_at: datetime | None = _instant(null=True)
    ended_at: datetime | None = _instant(null=True)


class AbsenceRow(SQLModel, table=True):
    """Days, both named, on which a member of staff is away, and who stands in (empty: the next level)."""

    __tablename__ = "absences"
    id: int | None = _key()
    staff_id: str = Field(index=True)
    from_on: date
    until_on: date
    stand_in: str
    actor: str
    created_at: datetime = _instant()
    # taken back
    ended_at: datetime | None = _instant(null=True)


class VisitRow(SQLModel, table=True):
    """
    A visit: one call on a customer, or on a guest about one order (FUP). `key` makes it one, however often it is found.

    Kind: purchase | use | return | complaint | solved | unsolved. State: `planned`, then `listed` on an agent's list of
    a day, then `done` (reached | not_reached | problem | opted_out) or `dropped` (`data["why"]`).
    A planned one without an agent only waits for its day. The nightly round draws it up: gives it the agent and keeps
    the day it is for (`data["drawn_on"]`); `due_on` stays what was promised, until a call in vain gives it another. `also` names what was due at the same time and is settled with it.
    """

    __tablename__ = "visits"
    __table_args__ = (
        UniqueConstraint("key"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"]),
        Index("visits_of_customer", "customer_id", "due_on"),
        Index("visits_planned", "due_on", postgresql_where=text("state = 'planned'")),
        Index("visits_listed", "agent", "due_on", postgresql_where=text("state = 'listed'")),
        Index("visits_of_list", "list_no", postgresql_where=text("list_no is not null")),
        Index("visits_promised", "promised_on", postgresql_where=text("promised_on is not null")),
    )
    id: int | None = _key()
    key: str = Field(sa_column=Column(Text, nullable=False))
    customer_id: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    order_no: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''"), index=True))
    case_no: str | None = Field(default=None, index=True)
    kind: str
    also: list = _json("[]")
    owner: str
    agent: str | None = _text(null=True)
    due_on: date = Field(sa_column=Column(Date, nullable=False))
    rule: str
    state: str = Field(default="planned", sa_column=Column(Text, nullable=False, server_default=text("'planned'")))
    outcome: str = _text()
    tries: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    list_no: str | None = _text(null=True)  # the number of the list it stands on
    # the day it was due when it first came onto a list: what figures go by
    promised_on: date | None = Field(default=None, sa_column=Column(Date, nullable=True))
    # which rungs of the ladder of its due day are behind: told once, on whichever list it stands
    told: list = _json("[]")
    data: dict = _json()
    rehearsal: str | None = Field(default=None, foreign_key="rehearsals.id")
    created_at: datetime = _instant()
    done_at: datetime | None = _instant(null=True)


class SurveyRow(SQLModel, table=True):
    """
    A survey about an ended case, one a closure (SVY-01, P-22): `waiting`, `sent`, `answered`, `expired` or `skipped`.

    The only place that holds what a customer wrote in free text. `terms` are those it was written with; the end counts
    from when it reached the customer, so it has none before that is known.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        UniqueConstraint("case_no"),
        ForeignKeyConstraint(["case_no"], ["cases.case_no"]),
        Index("surveys_due", "next_at", "id", postgresql_where=text("next_at is not null and rehearsal is null")),
        Index("surveys_sent", "sent_at", postgresql_where=text("sent_at is not null")),
    )
    id: int | None = _key()
    case_no: str
    order_no: str = Field(index=True)
    state: str
    reason: str = _text()
    rehearsal: str | None = Field(default=None, index=True)
    terms: dict = _json()
    ended_at: datetime = _instant()  # when the case did
    # when there is something to do: to send it, to see whether it was, to remind, to end it; none when it is over
    next_at: datetime | None = _instant(null=True)
    asked_by: str = _text()  # `link` or `staff`
    sent_at: datetime | None = _instant(null=True)
    reminded_at: datetime | None = _instant(null=True)
    expires_at: datetime | None = _instant(null=True)
    answered_at: datetime | None = _instant(null=True)
    answers: list = _json("[]")  # each with its code and scale, as it was given
    score: Decimal | None = Field(default=None, sa_column=Column(Numeric(3, 2), nullable=True))
    satisfied: bool | None = Field(default=None)
    other_need: bool | None = Field(default=None)
    via: str = _text()  # `link`, or the staff id of whoever wrote down what was said by phone


class WorkRow(SQLModel, table=True):
    """The embedded gateways' work lists: a pick-up to arrange or a refund to transfer, confirmed by staff in the UI."""

    __tablename__ = "work"
    __table_args__ = (Index("work_open", "kind", postgresql_where=text("state = 'open'")),)
    key: str = Field(primary_key=True)
    kind: str
    case_no: str = Field(index=True)
    amount: Decimal | None = _money(null=True)
    route: str = _text()
    data: dict = _json()
    state: str
    reference: str = _text()
    created_at: datetime = _instant()
    done_at: datetime | None = _instant(null=True)


class ParkRow(SQLModel, table=True):
    """A step that waits for another system to answer (design §4): how often it was tried, and when it is tried again."""

    __tablename__ = "parks"
    __table_args__ = (
        UniqueConstraint("case_no", "entry"),
        Index("parks_due", "retry_at", postgresql_where=text("ended_at is null")),
    )
    id: int | None = _key()
    case_no: str
    entry: str
    owner: str
    tries: int
    reason: str = _text()
    retry_at: datetime = _instant()
    parked_at: datetime = _instant()
    ended_at: datetime | None = _instant(null=True)


class RestockRow(SQLModel, table=True):
    """Units graded sellable that the shop keeps: what a stock system may add, once (P-24). Nothing else counts stock."""

    __tablename__ = "restock"
    __table_args__ = (UniqueConstraint("case_no", "entry", "line_no"),)
    id: int | None = _key()
    case_no: str
    entry: str
    line_no: int
    sku: str
    quantity: int
    at: datetime = _instant()


class ImportedRow(SQLModel, table=True):
    """How many units of an imported file's row a case of an order asks back: written with the case, so never twice."""

    __tablename__ = "imported"
    source: str = Field(primary_key=True)
    row_key: str = Field(primary_key=True)
    order_no: str = Field(primary_key=True)
    case_no: str
    quantity: int


class UnplacedRow(SQLModel, table=True):
    """A row of an imported file that no rule could place: a person looks at it, with the reason."""

    __tablename__ = "unplaced"
    __table_args__ = (
        UniqueConstraint("source", "row_key"),
        Index("unplaced_open", "id", postgresql_where=text("done_at is null")),
    )
    id: int | None = _key()
    source: str
    row_key: str
    reason: str
    data: dict = _json()
    imported_at: datetime = _instant()
    done_at: datetime | None = _instant(null=True)


class EvidenceRow(SQLModel, table=True):
    """A piece of evidence of a case: a link, a note, or a stored file's SHA-256 (POL-08)."""

    __tablename__ = "evidence"
    __table_args__ = (UniqueConstraint("case_no", "reference"),)
    id: int | None = _key()
    case_no: str = Field(index=True)
    reference: str
    name: str = _text()
    actor: str
    added_at: datetime = _instant()


class ContactRow(SQLModel, table=True):
    """Another contact, or the account for a manual transfer, of one case: personal data, kept out of the journal."""

    __tablename__ = "contacts"
    __table_args__ = (
        UniqueConstraint("case_no", "kind"),
        ForeignKeyConstraint(["case_no"], ["cases.case_no"]),
    )
    id: int | None = _key()
    case_no: str
    kind: str
    data: dict = _json()
    actor: str
    at: datetime = _instant()


class LookRow(SQLModel, table=True):
    """A look at a customer's full contact (GEN-10): who, when, at which order, and why. Append-only like the journal."""

    __tablename__ = "looks"
    id: int | None = _key()
    at: datetime = _instant()
    actor: str
    order_no: str = Field(index=True)
    reason: str = _text()


class SettingRow(SQLModel, table=True):
    """Small facts about this installation, such as what was deployed last."""

    __tablename__ = "settings"
    name: str = Field(primary_key=True)
    value: dict = _json()

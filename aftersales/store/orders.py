"""
Orders in the database: taken in as sets, shown one by one.

`stage`, `add`, `settle` take in any number of orders with COPY and a handful of statements.
An order that is already there is never changed: the same content is no news, other content is a conflict.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from aftersales.imports.sales import Sale
from aftersales.store.tables import CustomerRow, OrderLineRow, OrderRow, UnitsRow

# From so many new lines on PostgreSQL counts the tables at once. Its own count may come in the middle of an import, see
# none of its rows, and have what is read next search every line for every customer: minutes in the place of a moment.
MANY = 1000

# Two imports at once would see none of each other's orders; the second waits for the first to commit.
_LOCK = "select pg_advisory_xact_lock(hashtext('aftersales.orders'))"

_STAGE = """
drop table if exists incoming_orders, incoming_lines, incoming_known;
create temporary table incoming_orders (
    order_no text not null, channel text not null, customer_no text not null,
    name text not null, phone text not null, email text not null, region text not null, currency text not null,
    ordered_at timestamptz not null, paid numeric(14,2) not null, freight numeric(14,2) not null,
    insured_freight numeric(14,2) not null, payment_route text not null,
    at_line integer not null, line_rows integer not null, freight_rows integer not null
) on commit drop;
create temporary table incoming_lines (
    order_no text not null, line_no integer not null, sku text not null, name text not null, category text not null,
    attributes jsonb not null, quantity integer not null, paid numeric(14,2) not null, delivered_at timestamptz,
    warranty_months integer not null, is_gift boolean not null
) on commit drop;
"""

# What an order that is there says differently. Words for people: they end in the list of bad rows.
_KNOWN = """
create temporary table incoming_known on commit drop as
select i.order_no, o.id, i.at_line, i.line_rows, i.freight_rows, array_remove(array[
    case when o.channel <> i.channel then '渠道' end,
    case when coalesce(c.customer_no, '') <> i.customer_no then '客户编号' end,
    case when (o.contact_name, o.contact_phone, o.contact_email) <> (i.name, i.phone, i.email) then '联系方式' end,
    case when o.region <> i.region then '地区' end,
    case when o.currency <> i.currency then '币种' end,
    case when o.ordered_at <> i.ordered_at then '下单时间' end,
    case when o.freight <> i.freight then '运费' end,
    case when o.insured_freight <> i.insured_freight then '运费险金额' end,
    case when o.payment_route <> i.payment_route then '付款方式' end,
    case when o.paid <> i.paid then '实付金额' end,
    case when o.rehearsal is distinct from cast(:rehearsal as text) then '演练' end
], null) as differs
from incoming_orders i
join orders o on o.order_no = i.order_no
left join customers c on c.id = o.customer_id
"""

_KNOWN_LINES = """
with there as (
    select k.order_no, l.* from incoming_known k join order_lines l on l.order_id = k.id
), here as (
    select n.* from incoming_lines n join incoming_known k on k.order_no = n.order_no
), other as (
    select order_no, min(line_no) as line_no
    from here full join there using (order_no, line_no)
    where (here.sku, here.name, here.category, here.attributes, here.quantity, here.paid, here.delivered_at,
           here.warranty_months, here.is_gift)
       is distinct from
          (there.sku, there.name, there.category, there.attributes, there.quantity, there.paid, there.delivered_at,
           there.warranty_months, there.is_gift)
    group by order_no
)
update incoming_known k set differs = differs || format('第 %s 个商品行', other.line_no)
from other where other.order_no = k.order_no
"""

_CUSTOMERS = """
insert into customers (channel, customer_no, name, phone, email, language)
select distinct on (i.channel, i.customer_no) i.channel, i.customer_no, i.name, i.phone, i.email, 'zh'
from incoming_orders i
where i.customer_no <> '' and not exists (select from incoming_known k where k.order_no = i.order_no)
order by i.channel, i.customer_no, i.ordered_at desc, i.order_no desc
on conflict (channel, customer_no) do nothing
"""

_ORDERS = """
insert into orders (order_no, channel, customer_id, region, currency, contact_name, contact_phone, contact_email,
                    ordered_at, paid, freight, insured_freight, payment_route, rehearsal, source)
select i.order_no, i.channel, c.id, i.region, i.currency, i.name, i.phone, i.email,
       i.ordered_at, i.paid, i.freight, i.insured_freight, i.payment_route, cast(:rehearsal as text), :source
from incoming_orders i
left join customers c on i.customer_no <> '' and c.channel = i.channel and c.customer_no = i.customer_no
where not exists (select from incoming_known k where k.order_no = i.order_no)
order by i.at_line
on conflict (order_no) do nothing
"""

_LINES = """
insert into order_lines (order_id, line_no, sku, name, category, attributes, quantity, paid, delivered_at,
                         warranty_months, is_gift)
select o.id, n.line_no, n.sku, n.name, n.category, n.attributes, n.quantity, n.paid, n.delivered_at,
       n.warranty_months, n.is_gift
from incoming_lines n
join orders o on o.order_no = n.order_no
where not exists (select from incoming_known k where k.order_no = n.order_no)
order by o.id, n.line_no
on conflict (order_id, line_no) do nothing
"""

_COUNT_KNOWN = """
select count(*), coalesce(sum(line_rows), 0), coalesce(sum(freight_rows), 0)
from incoming_known where cardinality(differs) = 0
"""

_CONFLICTS = """
select order_no, at_line, line_rows, freight_rows, differs
from incoming_known where cardinality(differs) > 0 order by at_line, order_no
"""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An order that is already there with other content; it was not touched."""

    order_no: str
    at_line: int
    line_rows: int
    freight_rows: int
    differs: tuple[str, ...]

    def __str__(self) -> str:
        return f"订单 {self.order_no} 已在库中，但{'、'.join(self.differs)}不同，未作改动；请核对后用别的方式更正"


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of the orders that were staged."""

    orders: int
    lines: int
    customers: int
    unchanged_orders: int
    unchanged_lines: int
    unchanged_freight_rows: int
    conflicts: tuple[Conflict, ...]


async def stage(connection: AsyncConnection) -> None:
    """
    Make room for incoming orders; it is gone at the end of the transaction.
    """
    for statement in filter(str.strip, _STAGE.split(";")):
        await connection.execute(text(statement))


async def add(connection: AsyncConnection, sales: Iterable[Sale]) -> None:
    """
    Copy orders into the room that `stage` made.
    """
    sales = list(sales)
    driver: Any = (await connection.get_raw_connection()).driver_connection
    async with driver.cursor() as cursor:
        async with cursor.copy("copy incoming_orders from stdin") as copy:
            for sale in sales:
                await copy.write_row(
                    (
                        sale.order_no,
                        sale.channel,
                        sale.customer_no,
                        sale.name,
                        sale.phone,
                        sale.email,
                        sale.region,
                        sale.currency,
                        sale.ordered_at,
                        sale.paid,
                        sale.freight,
                        sale.insured_freight,
                        sale.payment_route,
                        sale.at_line,
                        len(sale.lines),
                        sale.freight_rows,
                    )
                )
        async with cursor.copy("copy incoming_lines from stdin") as copy:
            for sale in sales:
                for line in sale.lines:
                    await copy.write_row(
                        (
                            sale.order_no,
                            line.line_no,
                            line.sku,
                            line.name,
                            line.category,
                            json.dumps(dict(line.attributes), ensure_ascii=False) if line.attributes else "{}",
                            line.quantity,
                            line.paid,
                            line.delivered_at,
                            line.warranty_months,
                            line.is_gift,
                        )
                    )


async def settle(connection: AsyncConnection, *, source: str, rehearsal: str | None = None) -> Settled:
    """
    Take the staged orders in: new ones with their customers and lines, none twice, none changed.

    `source` says where they came from; orders of a rehearsal carry its id (design §5).
    """
    await connection.execute(text(_LOCK))
    for table in ("incoming_orders", "incoming_lines"):
        await connection.execute(text(f"analyze {table}"))
    await connection.execute(text(_KNOWN), {"rehearsal": rehearsal})
    await connection.execute(text("analyze incoming_known"))
    await connection.execute(text(_KNOWN_LINES))
    customers = await connection.execute(text(_CUSTOMERS))
    orders = await connection.execute(text(_ORDERS), {"rehearsal": rehearsal, "source": source})
    lines = await connection.execute(text(_LINES))
    if lines.rowcount >= MANY:
        await connection.execute(text("analyze customers, orders, order_lines"))
    unchanged = (await connection.execute(text(_COUNT_KNOWN))).one()
    conflicts = (await connection.execute(text(_CONFLICTS))).all()
    return Settled(
        orders=orders.rowcount,
        lines=lines.rowcount,
        customers=customers.rowcount,
        unchanged_orders=unchanged[0],
        unchanged_lines=unchanged[1],
        unchanged_freight_rows=unchanged[2],
        conflicts=tuple(
            Conflict(row.order_no, row.at_line, row.line_rows, row.freight_rows, tuple(row.differs))
            for row in conflicts
        ),
    )


async def insert(
    connection: AsyncConnection, sales: Iterable[Sale], *, source: str, rehearsal: str | None = None
) -> Settled:
    """
    Take in a few orders at once: the sample shop's, or a rehearsal's own (design §5).
    """
    await stage(connection)
    await add(connection, sales)
    return await settle(connection, source=source, rehearsal=rehearsal)


# --- one order ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line of an order and how many of its units can still enter a case."""

    line_no: int
    sku: str
    name: str
    category: str
    attributes: Mapping[str, str]
    quantity: int
    paid: Decimal
    delivered_at: datetime | None
    warranty_months: int
    is_gift: bool
    free: int


@dataclass(frozen=True, slots=True)
class Shown:
    """An order as people look at it. The contact is whole: whoever prints it masks it (GEN-10)."""

    order_no: str
    channel: str
    customer_no: str
    name: str
    phone: str
    email: str
    region: str
    currency: str
    ordered_at: datetime
    paid: Decimal
    freight: Decimal
    insured_freight: Decimal
    payment_route: str
    rehearsal: str | None
    source: str
    lines: tuple[ShownLine, ...]


async def show(connection: AsyncConnection, order_no: str) -> Shown | None:
    """
    Look one order up, with its lines and what the unit ledger has left of each (P-20).
    """
    columns: Any = select(
        col(OrderRow.id),
        col(OrderRow.order_no),
        col(OrderRow.channel),
        func.coalesce(CustomerRow.customer_no, "").label("customer_no"),
        col(OrderRow.contact_name).label("name"),
        col(OrderRow.contact_phone).label("phone"),
        col(OrderRow.contact_email).label("email"),
        col(OrderRow.region),
        col(OrderRow.currency),
        col(OrderRow.ordered_at),
        col(OrderRow.paid),
        col(OrderRow.freight),
        col(OrderRow.insured_freight),
        col(OrderRow.payment_route),
        col(OrderRow.rehearsal),
        col(OrderRow.source),
    )
    order = (
        await connection.execute(
            columns.outerjoin(CustomerRow, col(CustomerRow.id) == col(OrderRow.customer_id)).where(
                col(OrderRow.order_no) == order_no
            )
        )
    ).one_or_none()
    if order is None:
        return None
    taken = (
        select(func.coalesce(func.sum(col(UnitsRow.end_unit) - col(UnitsRow.first_unit)), 0))
        .where(col(UnitsRow.line_id) == col(OrderLineRow.id), col(UnitsRow.state) != "released")
        .scalar_subquery()
    )
    lines = await connection.execute(
        select(
            col(OrderLineRow.line_no),
            col(OrderLineRow.sku),
            col(OrderLineRow.name),
            col(OrderLineRow.category),
            col(OrderLineRow.attributes),
            col(OrderLineRow.quantity),
            col(OrderLineRow.paid),
            col(OrderLineRow.delivered_at),
            col(OrderLineRow.warranty_months),
            col(OrderLineRow.is_gift),
            (col(OrderLineRow.quantity) - taken).label("free"),
        )
        .where(col(OrderLineRow.order_id) == order.id)
        .order_by(col(OrderLineRow.line_no))
    )
    facts = order._asdict()
    del facts["id"]
    return Shown(**facts, lines=tuple(ShownLine(**line._asdict()) for line in lines))


async def names(connection: AsyncConnection, order_nos: Collection[str]) -> dict[str, str]:
    """
    Name whom some orders are for. The names are whole: whoever prints them masks them (GEN-10).
    """
    rows = await connection.execute(
        select(col(OrderRow.order_no), col(OrderRow.contact_name)).where(col(OrderRow.order_no).in_(order_nos))
    )
    return {row.order_no: row.contact_name for row in rows}

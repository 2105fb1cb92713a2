"""
The unit ledger: which units of an order line a case holds or has settled, over all processes (design §9, P-19, P-20).

Whoever reads or moves units first locks their order lines, in the order of their numbers, and reads after that.
So two applications at the same instant stand in line, and neither can lock the other out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.rules import units
from aftersales.store.tables import OrderLineRow, OrderRow, UnitsRow
from aftersales.words import Holder, Unable, Units, Wanted

ORDERS = OrderRow.__table__  # type: ignore[attr-defined]
LINES = OrderLineRow.__table__  # type: ignore[attr-defined]
UNITS = UnitsRow.__table__  # type: ignore[attr-defined]

HELD = "held"
SETTLED = "settled"
RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Kept:
    """Units of one line that a case holds or has settled."""

    case_no: str
    process: str
    state: str
    wanted: Wanted


async def hold(
    connection: AsyncConnection,
    *,
    order_no: str,
    wanted: Iterable[tuple[int, int]],
    case_no: str,
    process: str,
) -> list[Wanted]:
    """
    Hold the lowest free units of these lines for a case, all or nothing (P-19, P-20).

    Asked again by the same case, it gives what the case has already and holds nothing more.
    Raises Unable when the order or a line is unknown, or names the case that has the units.
    """
    asked = dict(sorted(units.summed(wanted).items()))
    if not asked:
        raise Unable(f"订单 {order_no} 的售后申请没有商品，请至少选择一件。")
    lines = await _lock_lines(connection, order_no, list(asked))
    rows = await ledger(connection, [line.id for line in lines.values()])
    if mine := [row for row in rows if row.case_no == case_no]:
        return _wanted({line.id: line.line_no for line in lines.values()}, mine)

    held = []
    for line_no, quantity in asked.items():
        line = lines[line_no]
        taken = [row for row in rows if row.line_id == line.id]
        spare = units.count(units.free(line.quantity, runs(taken)))
        if not 0 < quantity <= spare:
            where = f"订单 {order_no} 第 {line_no} 行"
            raise Unable(
                units.refusal(where=where, bought=line.quantity, spare=spare, asked=quantity, holders=holders(taken))
            )
        held.append(Wanted(line_no, units.lowest_free(line.quantity, runs(taken), quantity)))
    await connection.execute(
        insert(UNITS),
        [
            {
                "line_id": lines[each.line_no].id,
                "first_unit": run.first,
                "end_unit": run.end,
                "case_no": case_no,
                "process": process,
                "state": HELD,
            }
            for each in held
            for run in each.units
        ],
    )
    return held


async def settle(connection: AsyncConnection, case_no: str, wanted: Sequence[Wanted] | None = None) -> list[Wanted]:
    """
    Settle units that a case holds, for ever: all of them, or those that one receipt paid for (P-14).

    What is settled already stays so. Raises Unable for units that the case does not hold.
    """
    return await _move(connection, case_no, wanted, to=SETTLED)


async def release(connection: AsyncConnection, case_no: str, wanted: Sequence[Wanted] | None = None) -> list[Wanted]:
    """
    Give units that a case holds back to whoever wants them next: all of them, or some (P-19).

    What is released already stays so; what is settled is never released.
    Raises Unable for units that the case does not hold.
    """
    return await _move(connection, case_no, wanted, to=RELEASED)


async def kept(connection: AsyncConnection, case_no: str) -> list[Kept]:
    """Tell what a case holds and what it has settled, line by line."""
    rows = (
        await connection.execute(
            select(UNITS, LINES.c.line_no)
            .join(LINES, LINES.c.id == UNITS.c.line_id)
            .where(UNITS.c.case_no == case_no, UNITS.c.state != RELEASED)
        )
    ).all()
    numbers = {row.line_id: row.line_no for row in rows}
    return [
        Kept(case_no, process, state, wanted)
        for process, state in sorted({(row.process, row.state) for row in rows})
        for wanted in _wanted(numbers, [row for row in rows if (row.process, row.state) == (process, state)])
    ]


async def _move(connection: AsyncConnection, case_no: str, wanted: Sequence[Wanted] | None, *, to: str) -> list[Wanted]:
    lines = await _lock_lines_of(connection, case_no)
    rows = (await connection.execute(select(UNITS).where(UNITS.c.case_no == case_no).order_by(UNITS.c.id))).all()
    if wanted is None:
        wanted = _wanted({id_: line.line_no for id_, line in lines.items()}, [r for r in rows if r.state == HELD])
    ids = {line.line_no: id_ for id_, line in lines.items()}
    for each in wanted:
        mine = [row for row in rows if row.line_id == ids.get(each.line_no)]
        done = runs(row for row in mine if row.state == to)
        held = [row for row in mine if row.state == HELD]
        moving = units.without(each.units, done)
        if missing := units.count(units.without(moving, runs(held))):
            raise Unable(
                f"售后单 {case_no} 没有占用第 {each.line_no} 行的这 {missing} 件商品，"
                f"请先用 aftersales case show {case_no} 核对件数。"
            )
        for row in held:
            await _cut(connection, row, units.both(runs([row]), moving), to=to)
    return list(wanted)


async def _cut(connection: AsyncConnection, row: Row, moved: units.Runs, *, to: str) -> None:
    """Turn a row into one a run: what moves and what stays."""
    if not moved:
        return
    parts = sorted(
        [(run, to) for run in moved] + [(run, row.state) for run in units.without(runs([row]), moved)],
        key=lambda part: part[0].first,
    )
    (first, state), *others = parts
    await connection.execute(
        update(UNITS).where(UNITS.c.id == row.id).values(first_unit=first.first, end_unit=first.end, state=state)
    )
    if others:
        await connection.execute(
            insert(UNITS),
            [
                {
                    "line_id": row.line_id,
                    "first_unit": run.first,
                    "end_unit": run.end,
                    "case_no": row.case_no,
                    "process": row.process,
                    "state": state,
                }
                for run, state in others
            ],
        )


async def _lock_lines(connection: AsyncConnection, order_no: str, line_nos: Sequence[int]) -> Mapping[int, Row]:
    rows = (
        await connection.execute(
            select(LINES.c.id, LINES.c.line_no, LINES.c.quantity)
            .join(ORDERS, ORDERS.c.id == LINES.c.order_id)
            .where(ORDERS.c.order_no == order_no, LINES.c.line_no.in_(line_nos))
            .order_by(LINES.c.id)
            .with_for_update(of=LINES)
        )
    ).all()
    lines = {row.line_no: row for row in rows}
    if unknown := [line_no for line_no in line_nos if line_no not in lines]:
        known = await connection.scalar(select(ORDERS.c.id).where(ORDERS.c.order_no == order_no))
        if known is None:
            raise Unable(f"没有订单 {order_no}，请核对订单号。")
        raise Unable(f"订单 {order_no} 没有第 {unknown[0]} 行，请核对行号。")
    return lines


async def _lock_lines_of(connection: AsyncConnection, case_no: str) -> Mapping[int, Row]:
    rows = (
        await connection.execute(
            select(LINES.c.id, LINES.c.line_no)
            .where(LINES.c.id.in_(select(UNITS.c.line_id).where(UNITS.c.case_no == case_no)))
            .order_by(LINES.c.id)
            .with_for_update()
        )
    ).all()
    return {row.id: row for row in rows}


async def ledger(connection: AsyncConnection, line_ids: Sequence[int]) -> Sequence[Row]:
    """Read the units of lines that are taken. A statement of its own: one that waits for the lock shows the past."""
    return (
        await connection.execute(
            select(UNITS).where(UNITS.c.line_id.in_(line_ids), UNITS.c.state != RELEASED).order_by(UNITS.c.id)
        )
    ).all()


def runs(rows: Iterable[Row]) -> units.Runs:
    """Give the units that rows of the ledger name."""
    return units.tidy(Units(row.first_unit, row.end_unit) for row in rows)


def _wanted(numbers: Mapping[int, int], rows: Sequence[Row]) -> list[Wanted]:
    ids = sorted({row.line_id for row in rows}, key=lambda id_: numbers[id_])
    return [Wanted(numbers[id_], runs(row for row in rows if row.line_id == id_)) for id_ in ids]


def holders(rows: Iterable[Row]) -> tuple[Holder, ...]:
    """Tell which cases have the units of some rows of the ledger, the first to come first."""
    of_case: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        of_case.setdefault(row.case_no, []).append(row)
    return tuple(
        Holder(case_no, units.count(runs(theirs)), all(row.state == SETTLED for row in theirs))
        for case_no, theirs in of_case.items()
    )

"""
A file of orders into the database, in one transaction: read, staged, settled, and told what became of every row.

The counts of the report add up to the rows of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from itertools import islice

from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales.imports import orders as assembling
from aftersales.imports import reading
from aftersales.imports.mapping import Mapping
from aftersales.imports.orders import Assembly, Fate, Remark
from aftersales.imports.reading import File
from aftersales.store import orders
from aftersales.words import Unable

# Orders copied at a time: enough that a COPY pays, few enough to keep the memory small.
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Report:
    """
    What an import did. `goods + freight + skipped + left + unchanged + bad == rows`, all counted in rows of the file.
    """

    rows: int
    goods: int
    freight: int
    skipped: int
    left: int
    unchanged: int
    bad: int
    orders: int
    customers: int
    unchanged_orders: int
    shifted: timedelta
    remarks: tuple[Remark, ...]

    @property
    def is_clean(self) -> bool:
        """True when nothing was bad."""
        return self.bad == 0


class Refused(Unable):
    """A strict import found bad rows; nothing was imported. Carries the report that names them."""

    def __init__(self, report: Report) -> None:
        super().__init__(
            f"有 {report.bad} 行有误，按 --strict 的要求全部未导入；请按清单改正后再试，或去掉 --strict 只导入没有问题的订单。"
        )
        self.report = report


async def import_orders(
    connection: AsyncConnection,
    file: File,
    mapping: Mapping,
    *,
    source: str,
    zone: tzinfo,
    currency: str,
    shift_to: date | None = None,
    strict: bool = False,
    on_size: Callable[[int], None] | None = None,
    on_row: Callable[[], None] | None = None,
    on_read: Callable[[], None] | None = None,
) -> Report:
    """
    Import the orders of a file (issue 2, part 3). Importing the same file again changes nothing.

    `shift_to` moves every date by whole days so that the last day of the file is that day.
    Raises Refused when `strict` and anything is bad, Unable when the file as a whole cannot be read.
    The caller's transaction decides: what raises here leaves nothing behind.
    """
    found = assembling.survey(file, mapping, zone=zone, dates=shift_to is not None)
    shift = found.shift(file, to=shift_to)
    if on_size is not None:
        on_size(found.rows)

    assembly = Assembly(mapping, found, zone=zone, currency=currency, shift=shift)
    rows = reading.records(file)
    next(rows, None)  # the header
    sales = assembly.sales(rows, on_row=on_row)
    await orders.stage(connection)
    while batch := list(islice(sales, BATCH)):
        await orders.add(connection, batch)
    if on_read is not None:
        on_read()
    settled = await orders.settle(connection, source=source)

    report = _report(found.rows, assembly, settled, shift)
    if strict and not report.is_clean:
        raise Refused(report)
    return report


def _report(rows: int, assembly: Assembly, settled: orders.Settled, shift: timedelta) -> Report:
    counts = assembly.counts
    # The lines of a conflict are no longer imported: they move from goods and freight to bad.
    conflict_lines = sum(conflict.line_rows for conflict in settled.conflicts)
    conflict_freight = sum(conflict.freight_rows for conflict in settled.conflicts)
    unchanged = settled.unchanged_lines + settled.unchanged_freight_rows
    conflicts = [Remark(one.at_line, one.order_no, Fate.BAD, str(one)) for one in settled.conflicts]
    return Report(
        rows=rows,
        goods=counts[Fate.GOODS] - settled.unchanged_lines - conflict_lines,
        freight=counts[Fate.FREIGHT] - settled.unchanged_freight_rows - conflict_freight,
        skipped=counts[Fate.SKIPPED],
        left=counts[Fate.LEFT],
        unchanged=unchanged,
        bad=counts[Fate.BAD] + conflict_lines + conflict_freight,
        orders=settled.orders,
        customers=settled.customers,
        unchanged_orders=settled.unchanged_orders,
        shifted=shift,
        remarks=tuple(sorted((*assembly.remarks, *conflicts), key=lambda remark: remark.line)),
    )

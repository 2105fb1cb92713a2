"""`aftersales quote`: what a return would pay, before anybody applies for it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import click

from aftersales.cli.common import Word
from aftersales.rules import money, units
from aftersales.terms import Returns
from aftersales.words import Bill, Line, Order, Shipping, Unable, Wanted


class SkuQuantity(click.ParamType):
    """`SKU=QTY`; a SKU may itself hold an equals sign."""

    name = "SKU=QTY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        sku, _, quantity = value.rpartition("=")
        if not sku.strip() or not re.fullmatch(r"[0-9]{1,9}", quantity.strip()) or int(quantity) < 1:
            self.fail(f"“{value}”应写成 商品编码=件数，如 TS-01=2，件数为 1 或以上", param, ctx)
        return sku.strip(), int(quantity)


class Day(click.ParamType):
    """A date, `2025-03-07`."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
                raise ValueError
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"“{value}”不是日期，请写成 2025-03-07", param, ctx)


@click.command()
@click.argument("order", type=Word(), metavar="ORDER")
@click.option("--line", "lines", type=SkuQuantity(), multiple=True, required=True, help="退哪些商品、几件，可重复。")
@click.option("--reason", required=True, help="退货原因：config/returns.yaml 中的代码或名称。")
@click.option("--asked-on", type=Day(), help="申请日期，默认今天。")
@click.option("--self-shipped", is_flag=True, help="买家自行寄回；默认上门取件。")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON。")
def quote(
    order: str,
    lines: Sequence[tuple[str, int]],
    reason: str,
    asked_on: date | None,
    self_shipped: bool,
    as_json: bool,
) -> None:
    """估算退货可退金额（不登记任何内容）。"""
    from aftersales import clock, terms

    read = terms.load()
    zone = ZoneInfo(read.house.timezone)
    code = reason_code(reason, read.returns)
    facts = asyncio.run(order_facts(order))
    asked_on = asked_on or clock.now().astimezone(zone).date()
    if asked_on < (ordered_on := facts.ordered_at.astimezone(zone).date()):
        raise Unable(f"申请日期 {asked_on} 早于订单 {order} 的下单日期 {ordered_on}，请核对 --asked-on。")
    wanted = units.choose(order=facts, wanted=units.by_sku(order=facts, wanted=lines))
    bill = money.quote(
        order=facts,
        wanted=wanted,
        reason=code,
        asked_on=asked_on,
        shipping=Shipping.SELF if self_shipped else Shipping.PICKUP,
        terms=read.returns.on(facts.channel),
        zone=zone,
    )
    if as_json:
        click.echo(json.dumps(as_data(bill), ensure_ascii=False, indent=2))
    else:
        show(facts, wanted, bill, reason=read.returns.reasons[code].label, asked_on=asked_on)


def reason_code(text: str, returns: Returns) -> str:
    """Find a reason by its code or its name. Raises BadParameter that names all of them."""
    for code, reason in returns.reasons.items():
        if text in (code, reason.label):
            return code
    known = "、".join(f"{reason.label}（{code}）" for code, reason in returns.reasons.items())
    ctx = click.get_current_context()
    option = next(param for param in ctx.command.params if param.name == "reason")
    raise click.BadParameter(f"没有退货原因“{text}”，可选：{known}", ctx=ctx, param=option)


async def order_facts(order_no: str) -> Order:
    """Read the facts of an order. Raises Unable when there is none."""
    from aftersales.cli.database import connected
    from aftersales.store import facts
    from aftersales.store.engine import transaction

    async with connected(), transaction() as connection:
        order = await facts.load(connection, order_no)
    if order is None:
        raise Unable(f"没有订单 {order_no}，请核对订单号。")
    return order


def as_data(bill: Bill) -> dict[str, Any]:
    """Give a bill as JSON shows it: amounts as texts with two decimals, a line's note in brackets behind its label."""
    return {
        "age_band": bill.age_band.value if bill.age_band else None,
        "lines": [{"rule": line.rule, "label": label(line), "amount": f"{line.amount:.2f}"} for line in bill.lines],
        "total": f"{bill.total:.2f}",
        "needs_person": list(bill.needs_person),
    }


def label(line: Line) -> str:
    """A line's label with its note: `上门取件运费（由运费险承担）`."""
    return f"{line.label}（{line.note}）" if line.note else line.label


def show(order: Order, wanted: Sequence[Wanted], bill: Bill, *, reason: str, asked_on: date) -> None:
    """Print a bill as people read it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    count = sum(each.quantity for each in wanted)
    band = bill.age_band.label if bill.age_band else "未知（没有签收日期）"
    console.print(f"订单 {escape(order.order_no)} · 退 {count} 件 · {escape(reason)} · {asked_on} 申请 · {band}")
    table = Table(show_footer=True)
    table.add_column("规则")
    table.add_column("项目", footer="应退合计")
    table.add_column("金额（元）", justify="right", footer=f"{bill.total:.2f}")
    for line in bill.lines:
        table.add_row(line.rule, escape(label(line)), f"{line.amount:.2f}")
    console.print(table)
    for because in bill.needs_person:
        console.print(f"须人工决定：{escape(because)}", soft_wrap=True)

"""`aftersales import`, `aftersales orders` and `aftersales sample`."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from aftersales.cli.common import Day, Whole, Word, by_staff, harmless, make_table, run, screen
from aftersales.words import Stage, Unable, trouble

if TYPE_CHECKING:
    from rich.progress import Progress

    from aftersales.imports.orders import Remark
    from aftersales.store.imports import Report

SHOWN = 20  # bad rows told on the screen; the file names them all


class MappingName(click.ParamType):
    """The name of a file in `config/imports/`."""

    name = "映射"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a name that there is. Fails with the sentence that tells which there are."""
        from aftersales.imports import mapping as mappings

        if value not in mappings.names():
            self.fail(f"没有映射“{value}”，可用的有：{'、'.join(mappings.names())}", param, ctx)
        return str(value)


# --- import ---------------------------------------------------------------------------------------------------------


@click.group("import")
def import_() -> None:
    """从文件导入数据。"""


@import_.command("orders")
@click.argument("file", type=click.Path(path_type=Path), metavar="文件")
@click.option(
    "--mapping",
    "name",
    type=MappingName(),
    required=True,
    metavar="映射",
    help="列的含义：config/imports/ 里的文件名，如 standard。",
)
@click.option("--shift-to", type=Day(), metavar="日期", help="把文件里的日期整体平移若干天，使最后一天是这个日期。")
@click.option("--strict", is_flag=True, help="只要有一行有误就全部不导入。")
@click.option("--bad-rows", type=click.Path(path_type=Path), metavar="文件", help="有误和跳过的行写到哪个 CSV 文件。")
def import_orders(file: Path, name: str, shift_to: date | None, strict: bool, bad_rows: Path | None) -> None:
    """
    导入订单文件（CSV，也可以是 .gz）。

    一个订单要么完整导入，要么整单不导入；已在库中的订单不会被改动。有误的行逐行列出，不影响其他订单。
    """
    from aftersales import terms
    from aftersales.imports import mapping as mappings
    from aftersales.imports import reading

    house = terms.load().house
    mapping = mappings.load(name)
    looked_at = reading.look(file)
    if bad_rows is not None and bad_rows.is_dir():
        raise Unable(f"{bad_rows} 是文件夹，请给 --bad-rows 一个文件名。")
    report, refusal = asyncio.run(
        _import(
            looked_at,
            mapping,
            source=f"import:{name}",
            zone=ZoneInfo(house.timezone),
            currency=house.currency,
            shift_to=shift_to,
            strict=strict,
        )
    )
    if not report.rows:
        raise Unable(f"文件 {file} 只有表头，没有订单行，请核对导出时选的日期和条件。")
    listed = bad_rows or (_list_file(file) if report.remarks else None)
    _tell(report, listed, is_imported=refusal is None)
    if listed is not None:
        _write_list(report, listed)
    if refusal is not None:
        raise refusal
    if report.bad and not report.goods + report.freight + report.unchanged:
        raise Unable("没有一个订单可以导入，请按清单改正后再试。")


def _bar() -> Progress:
    """A bar that says how far an import has come, for whoever looks at a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )


async def _import(file: Any, mapping: Any, **options: Any) -> tuple[Report, Unable | None]:
    from aftersales.cli.database import connected
    from aftersales.store import engine, imports

    with _bar() as progress:
        task = progress.add_task("正在检查文件", total=None)
        seen = 0

        def on_size(rows: int) -> None:
            progress.update(task, total=rows, description="正在读入")

        def on_row() -> None:
            nonlocal seen
            seen += 1
            if seen % 1_000 == 0:  # the bar itself costs more than a row
                progress.update(task, completed=seen)

        def on_read() -> None:
            progress.update(task, completed=seen, description="正在写入数据库")

        async with connected():
            try:
                async with engine.transaction() as connection:
                    report = await imports.import_orders(
                        connection, file, mapping, on_size=on_size, on_row=on_row, on_read=on_read, **options
                    )
                    return report, None
            except imports.Refused as refused:
                return refused.report, refused


def _list_file(file: Path) -> Path:
    from aftersales import clock
    from aftersales.settings import settings

    stem = file.name.removesuffix(".gz").removesuffix(".csv")
    return settings().home / "imports" / f"{stem}-{clock.now():%Y%m%dT%H%M%S%f}.csv"


def _write_list(report: Report, path: Path) -> None:
    """
    Write the rows that did not become orders to a file that a spreadsheet opens.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8-sig", newline="") as opened:
            out = csv.writer(opened)
            out.writerow(["行", "订单号", "结果", "原因"])
            out.writerows(
                (remark.line, harmless(remark.order_no), remark.fate.label, harmless(remark.reason))
                for remark in report.remarks
            )
    except OSError as error:
        raise Unable(f"导入结果如上，但清单写不进 {path}（{trouble(error)}）；请检查文件夹的写入权限。") from None


def _tell(report: Report, listed: Path | None, *, is_imported: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from aftersales.imports.orders import Fate

    console = Console(highlight=False, soft_wrap=True)
    table = Table(title="导入结果（按文件的行数）" if is_imported else "检查结果（未导入）")
    table.add_column("结果")
    table.add_column("行数", justify="right")
    for label, count in (
        ("商品行", report.goods),
        ("运费行", report.freight),
        ("跳过", report.skipped),
        ("留给退货导入", report.left),
        ("已在库中，未改动", report.unchanged),
        ("有误，未导入", report.bad),
    ):
        table.add_row(label, str(count))
    table.add_section()
    table.add_row("合计", str(report.rows))
    console.print(table)
    if is_imported:
        console.print(f"新增订单 {report.orders} 个，新增客户 {report.customers} 个。")
    if report.unchanged_orders:
        console.print(f"已在库中的订单 {report.unchanged_orders} 个，未作改动。")
    if report.shifted:
        console.print(f"所有日期移动了 {report.shifted.days} 天。")
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    bad = [remark for remark in report.remarks if remark.fate is Fate.BAD]
    for remark in bad[:SHOWN]:
        errors.print(f"{_where(remark)}：{remark.reason}。")
    if len(bad) > SHOWN:
        errors.print(f"……另有 {len(bad) - SHOWN} 条，见清单。")
    if listed is not None:
        console.print(f"有误和跳过的行见清单：{listed}", markup=False)


def _where(remark: Remark) -> str:
    return f"第 {remark.line} 行 {remark.order_no}".rstrip()


# --- returns --------------------------------------------------------------------------------------------------------


@import_.command("returns")
@click.argument("file", type=click.Path(path_type=Path), metavar="文件")
@click.option(
    "--mapping", "name", type=MappingName(), required=True, metavar="映射", help="列的含义，与导入订单时用的相同。"
)
@click.option("--shift-to", type=Day(), metavar="日期", help="与导入订单时写的相同。")
@by_staff()
@click.option("--settle", is_flag=True, help="这些退货早已办完：按映射里写的经办人走完各环节，不通知客户。")
def import_returns(file: Path, name: str, shift_to: date | None, operator: str, settle: bool) -> None:
    """
    导入退货行：先导入同一文件的订单，再导入退货。每行从同一客户、同一商品、此前的订单里找回原来的行。

    找不到或不够的行交给人工，见 import unplaced。同一行只导入一次。
    """
    from aftersales import terms
    from aftersales.imports import mapping as mappings
    from aftersales.imports import orders as assembling
    from aftersales.imports import reading, returns

    house = terms.load().house
    mapping = mappings.load(name)
    if not mapping.returns_prefix:
        raise Unable(f"映射“{mapping.label}”没有写 returns_prefix（退货单号的开头），不能导入退货，请补上。")
    looked_at, zone = reading.look(file), ZoneInfo(house.timezone)
    found = assembling.survey(looked_at, mapping, zone=zone, dates=shift_to is not None)
    shift = found.shift(looked_at, to=shift_to)
    rows, bad = returns.read(looked_at, mapping, zone=zone, currency=house.currency, shift=shift)
    if not rows and not bad:
        raise Unable(f"文件 {file} 里没有单号以 {mapping.returns_prefix} 开头的退货行，请核对文件和映射。")
    told = asyncio.run(
        _import_returns(rows, mapping, bad=bad, source=f"returns:{name}", operator=operator, settles=settle)
    )
    plan = told.plan
    click.echo(
        f"退货行 {len(rows) + len(bad)} 行：对上订单 {plan.filled} 行，交给人工 {len(plan.unplaced)} 行，有误 {len(bad)} 行，已办过 {told.repeated} 行。"
    )
    if told.carried_on:
        click.echo(f"接着办理上次没有办完的售后单 {told.carried_on} 张。")
    click.echo(f"新开售后单 {len(told.opened)} 张" + (f"，已办完 {told.settled} 张。" if settle else "。"))
    for gate, count in sorted(told.waiting.items()):
        click.echo(f"  等待{Stage(gate).label.removeprefix('待')}：{count} 张")
    for why, count in Counter(each.kind for each in plan.unplaced).most_common():
        click.echo(f"  交给人工：{why}：{count} 行")
    if settle:
        click.echo(
            f"对上的行文件里共 {plan.amount:.2f} 元，按我们的规则退 {told.refunds:.2f} 元，"
            f"相差 {plan.amount - told.refunds:.2f} 元（含扣款，以及还在等待办理的）。"
        )
    for remark in bad[:SHOWN]:
        click.echo(f"{_where(remark)}：{remark.reason}。", err=True)
    if len(bad) > SHOWN:
        click.echo(f"……另有 {len(bad) - SHOWN} 行有误，全部见 aftersales import unplaced。", err=True)
    for refused in told.refused[:SHOWN]:
        click.echo(f"没有开立：{refused}", err=True)
    if told.refused:
        raise Unable(f"有 {len(told.refused)} 张没有开立或没有办完，原因如上，请解决后再导入一次。")


async def _import_returns(rows: Any, mapping: Any, **options: Any) -> Any:
    from aftersales.cli.database import connected
    from flows.returns import returns
    from tasks import imported

    with _bar() as progress:
        task = progress.add_task("正在对上订单", total=None)
        async with connected():
            return await imported.take_in(
                rows,
                mapping,
                story=returns.fn,
                on_plan=lambda cases: progress.update(task, total=cases, description="正在开立售后单"),
                on_case=lambda: progress.advance(task),
                **options,
            )


@import_.command("unplaced")
@click.option("--done", type=Whole(2**31 - 1), metavar="序号", help="这一行已由人工处理，不再列出。")
@click.option("--csv", "path", type=click.Path(path_type=Path), metavar="文件", help="写到 CSV 文件。")
def unplaced(done: int | None, path: Path | None) -> None:
    """列出导入退货时交给人工的行和原因。"""
    from aftersales import clock
    from aftersales.store import imported
    from aftersales.store.engine import transaction

    async def look() -> Any:
        async with transaction() as connection:
            if done is not None and not await imported.done(connection, done, clock.now()):
                raise Unable(f"没有序号为 {done} 的待处理行，请用 aftersales import unplaced 查看。")
            return await imported.unplaced(connection)

    rows = run(look)
    heads = ("序号", "退货单", "行", "商品编码", "数量", "金额", "原因")
    cells = [
        (row["id"], *(row["data"][name] for name in ("invoice", "line", "sku", "quantity", "amount")), row["reason"])
        for row in rows
    ]
    if path is not None:
        try:
            with path.open("w", encoding="utf-8-sig", newline="") as opened:
                out = csv.writer(opened)
                out.writerow(heads)
                out.writerows([harmless(str(cell)) for cell in row] for row in cells)
        except OSError as error:
            raise Unable(f"写不了 {path}（{trouble(error)}），请换一个位置。") from None
        click.echo(f"已写出 {len(cells)} 行：{path}")
        return
    if done is not None:
        click.echo(f"第 {done} 行已记作处理完，还有 {len(cells)} 行。")
        return
    shown = make_table("交给人工的退货行", *heads, right=("序号", "行", "数量", "金额"))
    for row in cells:
        shown.add_row(*map(str, row))
    screen().print(shown)
    click.echo(f"共 {len(cells)} 行；处理完一行后运行 aftersales import unplaced --done 序号。")


# --- orders ---------------------------------------------------------------------------------------------------------


@click.group()
def orders() -> None:
    """查看订单。"""


@orders.command("show")
@click.argument("order_no", type=Word(), metavar="订单号")
def show(order_no: str) -> None:
    """显示一个订单：商品、数量、实付、签收时间、还能退的件数。联系方式已隐去中间几位。"""
    asyncio.run(_show(order_no))


async def _show(order_no: str) -> None:
    from aftersales import terms
    from aftersales.cli.database import connected
    from aftersales.store import engine
    from aftersales.store import orders as stored

    zone = ZoneInfo(terms.load().house.timezone)
    async with connected(), engine.transaction() as connection:
        order = await stored.show(connection, order_no)
    if order is None:
        raise Unable(f"没有订单 {order_no}，请核对订单号；订单用 aftersales import orders 导入。")
    _print_order(order, zone)


def _print_order(order: Any, zone: tzinfo) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from aftersales.rules import masking

    facts = Table.grid(padding=(0, 2))
    contact = (
        masking.masked_name(order.name),
        masking.masked_phone(order.phone),
        masking.masked_email(order.email),
    )
    rows: Sequence[tuple[str, str]] = (
        ("订单号", order.order_no + (f"（演练 {order.rehearsal}）" if order.rehearsal else "")),
        ("渠道", order.channel),
        ("客户", f"{order.customer_no or '散客'}  {'  '.join(filter(None, contact))}".strip()),
        ("地区", order.region or "未填写"),
        ("下单时间", _time(order.ordered_at, zone)),
        ("付款方式", order.payment_route or "未填写"),
        ("实付", f"{order.paid:.2f} {order.currency}（含运费 {order.freight:.2f}）"),
        ("运费险", f"最高 {order.insured_freight:.2f}" if order.insured_freight else "无"),
    )
    for label, value in rows:
        facts.add_row(Text(label, style="bold"), Text(value))

    table = Table()
    for heading, justify in (
        ("行", "right"),
        ("编码", "left"),
        ("商品", "left"),
        ("类目", "left"),
        ("件数", "right"),
        ("可退", "right"),
        ("实付", "right"),
        ("签收时间", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for line in order.lines:
        chosen = "，".join(line.attributes.values())
        name = line.name + (f"（{chosen}）" if chosen else "") + ("［赠品］" if line.is_gift else "")
        table.add_row(
            str(line.line_no),
            Text(line.sku),
            Text(name),
            Text(line.category or "未知"),
            str(line.quantity),
            str(line.free),
            f"{line.paid:.2f}",
            _time(line.delivered_at, zone) if line.delivered_at else "未知",
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a pipe or a log breaks no columns
    console.print(facts)
    console.print(table)


def _time(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


# --- sample ---------------------------------------------------------------------------------------------------------


@click.command()
def sample() -> None:
    """装入示例店铺的订单（日期按今天推算；已装入过就不再装）。"""
    asyncio.run(_sample())


async def _sample() -> None:
    from aftersales import clock
    from aftersales.cli.database import connected
    from aftersales.store import engine
    from aftersales.store import sample as shop

    async with connected(), engine.transaction() as connection:
        loaded = await shop.load(connection, now=clock.now())
    if not loaded.orders:
        click.echo("示例店铺已经在库中，未作改动。")
        return
    click.echo(f"已装入示例店铺：订单 {loaded.orders} 个，商品行 {loaded.lines} 行，客户 {loaded.customers} 个。")
    click.echo("试一试：aftersales orders show D100001")

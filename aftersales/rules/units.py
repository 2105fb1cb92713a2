"""
Which units of an order line are free, and which ones a return takes (P-19, P-20).

Units are numbered from 0 and kept as runs, never one by one: a real line has 74,215 of them.
The lowest free unit goes back first, so that the fen left over from a split are paid last (design §9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from aftersales.words import Holder, Order, OrderLine, Unable, Units, Wanted

Runs = tuple[Units, ...]
Key = TypeVar("Key", int, str)


def count(runs: Iterable[Units]) -> int:
    """Say how many units the runs hold together."""
    return sum(run.count for run in runs)


def tidy(runs: Iterable[Units]) -> Runs:
    """Put runs in order and join those that touch or overlap; empty ones are dropped."""
    joined: list[Units] = []
    for run in sorted((r for r in runs if r.count > 0), key=lambda r: r.first):
        if joined and run.first <= joined[-1].end:
            joined[-1] = Units(joined[-1].first, max(joined[-1].end, run.end))
        else:
            joined.append(run)
    return tuple(joined)


def without(runs: Iterable[Units], taken: Iterable[Units]) -> Runs:
    """Give the units of `runs` that are not in `taken`."""
    left: list[Units] = []
    gone = tidy(taken)
    for run in tidy(runs):
        first = run.first
        for hole in gone:
            if hole.end <= first or hole.first >= run.end:
                continue
            if hole.first > first:
                left.append(Units(first, hole.first))
            first = hole.end
        if first < run.end:
            left.append(Units(first, run.end))
    return tuple(left)


def both(runs: Iterable[Units], others: Iterable[Units]) -> Runs:
    """Give the units that are in `runs` and in `others`."""
    runs = tidy(runs)
    return without(runs, without(runs, others))


def free(quantity: int, taken: Iterable[Units]) -> Runs:
    """Give the units of a line of `quantity` that no case has taken."""
    return without([Units(0, quantity)], taken)


def lowest(runs: Iterable[Units], wanted: int) -> Runs:
    """Give the lowest `wanted` units of the runs. Raises ValueError when they hold fewer."""
    chosen: list[Units] = []
    missing = wanted
    for run in tidy(runs):
        if missing <= 0:
            break
        part = Units(run.first, min(run.end, run.first + missing))
        chosen.append(part)
        missing -= part.count
    if missing > 0 or wanted < 0:
        raise ValueError(f"{wanted} units wanted, {wanted - missing} there")
    return tuple(chosen)


def lowest_free(quantity: int, taken: Iterable[Units], wanted: int) -> Runs:
    """Give the lowest free units of a line, the ones a return takes. Raises ValueError when fewer are free (P-20)."""
    return lowest(free(quantity, taken), wanted)


def deal(runs: Iterable[Units], quantities: Sequence[int]) -> list[Runs]:
    """
    Deal units out by quantity, the lowest first: what arrived of what was held, or sellable and unsellable of it.

    Staff count units and cannot tell them apart, so which number is which does not matter to them.
    Raises ValueError when the runs hold fewer units than are dealt.
    """
    dealt: list[Runs] = []
    rest = tidy(runs)
    for quantity in quantities:
        part = lowest(rest, quantity)
        dealt.append(part)
        rest = without(rest, part)
    return dealt


def by_sku(*, order: Order, wanted: Iterable[tuple[str, int]]) -> list[tuple[int, int]]:
    """
    Turn SKUs and quantities into lines and quantities: the lines of a SKU in line order, free units only (P-20).

    Raises Unable when the order has no such SKU, or fewer free units of it.
    """
    chosen: dict[int, int] = {}
    for sku, quantity in summed(wanted).items():
        if quantity < 1:
            raise Unable(f"商品 {sku} 的退货件数是 {quantity}，请填写 1 件或以上。")
        lines = sorted((line for line in order.lines if line.sku == sku), key=lambda line: line.line_no)
        if not lines:
            known = "、".join(dict.fromkeys(line.sku for line in order.lines[:10]))
            more = " 等" if len(order.lines) > 10 else ""
            raise Unable(f"订单 {order.order_no} 中没有商品 {sku}，请填写该订单的商品编码：{known}{more}。")
        left = quantity
        for line in lines:
            part = min(left, count(free(line.quantity, line.taken)))
            if part > 0:
                chosen[line.line_no] = part
                left -= part
        if left > 0:
            raise Unable(
                refusal(
                    where=f"订单 {order.order_no} 的商品 {sku} ",
                    bought=sum(line.quantity for line in lines),
                    spare=quantity - left,
                    asked=quantity,
                    holders=[holder for line in lines for holder in line.holders],
                )
            )
    return sorted(chosen.items())


def choose(*, order: Order, wanted: Iterable[tuple[int, int]]) -> list[Wanted]:
    """
    Choose the units that lines and quantities mean, the lowest free ones of each line.

    It only looks: to hold them against others is the ledger's work (`aftersales.store.units`).
    Raises Unable when a line is unknown or has fewer free units.
    """
    lines = {line.line_no: line for line in order.lines}
    chosen = []
    for line_no, quantity in sorted(summed(wanted).items()):
        line = lines.get(line_no)
        if line is None:
            raise Unable(f"订单 {order.order_no} 没有第 {line_no} 行，请核对行号。")
        chosen.append(Wanted(line_no, _units_of(order, line, quantity)))
    return chosen


def _units_of(order: Order, line: OrderLine, quantity: int) -> Runs:
    spare = count(free(line.quantity, line.taken))
    if not 0 < quantity <= spare:
        raise Unable(
            refusal(
                where=f"订单 {order.order_no} 第 {line.line_no} 行",
                bought=line.quantity,
                spare=spare,
                asked=quantity,
                holders=line.holders,
            )
        )
    return lowest_free(line.quantity, line.taken, quantity)


def refusal(*, where: str, bought: int, spare: int, asked: int, holders: Sequence[Holder]) -> str:
    """Say in one sentence why so many units cannot be had, which case has them, and what to do instead (P-20)."""
    if asked < 1 or spare == bought:
        return f"{where}共 {bought} 件，可退 {spare} 件，申请了 {asked} 件，请填写 1 到 {max(1, spare)} 件。"
    advice = f"请改为不超过 {spare} 件" if spare else "请在已有的售后单中处理"
    if not holders:
        return f"{where}仅剩 {spare} 件可退，申请了 {asked} 件，{advice}。"
    first = holders[0]
    did = "已退" if first.is_settled else "已占用"
    advice = f"请改为不超过 {spare} 件，或在该售后单中处理" if spare else "请在该售后单中处理"
    return f"{where}仅剩 {spare} 件可退，售后单 {first.case_no} {did} {first.quantity} 件，{advice}。"


def summed(wanted: Iterable[tuple[Key, int]]) -> Mapping[Key, int]:
    """Add up the quantities that are wanted of the same line or SKU."""
    sums: dict[Key, int] = {}
    for key, quantity in wanted:
        sums[key] = sums.get(key, 0) + quantity
    return sums

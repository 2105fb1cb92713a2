"""
A made-up shop to try things on: Chinese orders of every age, category, discount and way of paying.

Nothing in it is true. The phone numbers begin with 102, a prefix that no network has, and the mail goes to example.com.
The same `now` always gives the same shop; the first orders are made to measure (`FEATURED`) and keep their numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from aftersales.imports.sales import Sale, SoldLine
from aftersales.rules import money
from aftersales.store import orders
from aftersales.store.tables import OrderRow
from aftersales.words import ZERO, Unable

SOURCE = "sample"
COUNT = 240
HOME = ZoneInfo("Asia/Shanghai")  # where the sample shop stands, wherever the house is

# Days since receipt, so that both sides of every age band occur (POL-02 to POL-04). None: not known (P-23).
AGES: tuple[int | None, ...] = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    11,
    14,
    17,
    21,
    25,
    29,
    30,
    31,
    33,
    40,
    55,
    90,
    180,
    380,
    None,
)
CHANNELS = ("官方网站", "第三方平台", "社交电商")
ROUTES = ("支付宝",) * 9 + ("微信支付",) * 8 + ("银行卡",) * 2 + ("现金",)
REGIONS = (
    "北京市 朝阳区",
    "上海市 浦东新区",
    "天津市 南开区",
    "重庆市 渝北区",
    "广东省 广州市",
    "广东省 深圳市",
    "浙江省 杭州市",
    "浙江省 宁波市",
    "江苏省 南京市",
    "江苏省 苏州市",
    "四川省 成都市",
    "湖北省 武汉市",
    "湖南省 长沙市",
    "陕西省 西安市",
    "山东省 青岛市",
    "福建省 厦门市",
    "河南省 郑州市",
    "辽宁省 沈阳市",
    "安徽省 合肥市",
    "云南省 昆明市",
    "黑龙江省 哈尔滨市",
    "新疆维吾尔自治区 乌鲁木齐市",
)
FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许韩冯邓曹"
GIVEN = [
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "磊",
    "洋",
    "艳",
    "勇",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀兰",
    "霞",
    "平",
    "刚",
    "桂英",
    "子涵",
    "雨桐",
    "浩然",
    "梓萱",
    "欣怡",
    "宇轩",
    "诗涵",
    "佳琪",
    "俊杰",
    "思远",
    "若曦",
    "晓东",
    "建国",
]
FAMOUS = ("欧阳雪", "司马晴")


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the sample shop, with the choices a customer has."""

    sku: str
    name: str
    category: str
    price: Decimal
    warranty_months: int
    choices: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """So many of a product, with what is taken off the line; a gift costs nothing."""

    sku: str
    quantity: int = 1
    discount: Decimal = ZERO
    is_gift: bool = False


@dataclass(frozen=True, slots=True)
class Featured:
    """An order made to measure. `age` is in days since receipt."""

    shows: str
    items: tuple[Item, ...]
    age: int | None = 3
    coupon: Decimal = ZERO
    freight: Decimal = ZERO
    insured: Decimal = ZERO
    route: str = "支付宝"
    guest: bool = False


def _yuan(text: str) -> Decimal:
    return Decimal(text)


# The order number is the place in this list: D100001, D100002, …
FEATURED = (
    Featured("三件 89.99（P-14）", (Item("FZ-TX-01", 3),)),
    Featured("三件共 100.00，不能整除（P-17）", (Item("FZ-WZ-07", 3),), coupon=_yuan("5.00")),
    Featured(
        "两行分摊满减，另付运费（P-17、P-18）",
        (Item("JJ-BW-03"), Item("TS-BJ-03")),
        coupon=_yuan("20.00"),
        freight=_yuan("10.00"),
    ),
    Featured("高金额，超过出纳限额", (Item("SM-BJ-02"),), route="银行卡"),
    Featured("签收第 7 天，免费期最后一天", (Item("XB-SB-03"),), age=7),
    Featured("签收第 8 天，买家承担运费", (Item("XB-SB-03"),), age=8),
    Featured("签收第 30 天，B 段最后一天", (Item("JD-JS-05", 2),), age=30),
    Featured("签收第 31 天，由人决定", (Item("JD-JS-05", 2),), age=31),
    Featured("签收时间不明（P-23）", (Item("SM-EJ-03"),), age=None),
    Featured("带赠品", (Item("MZ-JH-02"), Item("MZ-MS-01", is_gift=True))),
    Featured("生鲜", (Item("SX-CL-01"),), age=1),
    Featured("定制商品", (Item("DZ-BZ-01"),)),
    Featured("规则里没有的类目", (Item("CW-ML-01"),)),
    Featured("现金付款，退款需人工转账", (Item("JJ-TD-04"),), route="现金"),
    Featured("运费险够付取件运费", (Item("FZ-WY-05"),), insured=_yuan("12.00"), route="微信支付"),
    Featured("运费险只够一部分", (Item("FZ-LY-06"),), insured=_yuan("8.00"), route="微信支付"),
    Featured("B 段，有运费险", (Item("XB-PX-01"),), age=15, insured=_yuan("12.00")),
    Featured("金额小于运费，退款不低于零", (Item("TS-GB-04"),), age=15),
    Featured("散客订单，没有客户编号", (Item("LP-XX-01"),), guest=True),
    Featured("行优惠和满减一起用", (Item("JJ-SJ-01", 1, _yuan("50.00")), Item("JJ-SN-05", 4)), coupon=_yuan("33.33")),
    Featured("今天刚签收", (Item("JD-CF-03"),), age=0),
    Featured(
        "多件多行", (Item("SP-NN-03", 10), Item("SP-LP-04", 5), Item("SP-JG-01", 2)), age=5, coupon=_yuan("40.00")
    ),
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """How much of the shop was loaded; nothing when it was there before."""

    orders: int
    lines: int
    customers: int


@cache
def products() -> dict[str, Product]:
    """
    List what the shop sells, by SKU.
    """
    text = resources.files("aftersales.store").joinpath("sample_products.csv").read_text("utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        choices = tuple(
            (kind, tuple(values.split("/")))
            for kind, _, values in (part.partition("=") for part in row["attributes"].split(";") if part)
        )
        found[row["sku"]] = Product(
            row["sku"], row["name"], row["category"], Decimal(row["price"]), int(row["warranty_months"]), choices
        )
    return found


async def load(connection: AsyncConnection, *, now: datetime) -> Loaded:
    """
    Load the sample shop, as of `now`; does nothing when it is there already.

    Raises Unable when the shop has orders of its own under these numbers.
    """
    there = await connection.scalar(select(exists().where(col(OrderRow.source) == SOURCE)))
    if there:
        return Loaded(0, 0, 0)
    settled = await orders.insert(connection, sales(now=now), source=SOURCE)
    if settled.conflicts or settled.unchanged_orders:
        first = settled.conflicts[0].order_no if settled.conflicts else "D100001"
        raise Unable(f"库中已有订单号与示例订单相同的订单（如 {first}），没有装载示例数据；请换一个空的数据库。")
    return Loaded(settled.orders, settled.lines, settled.customers)


def sales(*, now: datetime, prefix: str = "D", count: int = COUNT) -> list[Sale]:
    """
    Make up the orders of the shop: the featured ones, then as many others as asked for.

    Raises ValueError without a zone in `now`.
    """
    if now.tzinfo is None:
        raise ValueError("now has no zone")
    dice = Random(20261122)
    made = [
        sale(
            f"{prefix}{100_001 + place}",
            featured.items,
            now=now,
            age=featured.age,
            coupon=featured.coupon,
            freight=featured.freight,
            insured_freight=featured.insured,
            payment_route=featured.route,
            customer=None if featured.guest else place,
            dice=dice,
        )
        for place, featured in enumerate(FEATURED[:count])
    ]
    return made + [_made_up(f"{prefix}{100_001 + place}", place, now, dice) for place in range(len(made), count)]


def sale(
    order_no: str,
    items: Sequence[Item],
    *,
    now: datetime,
    age: int | None,
    coupon: Decimal = ZERO,
    freight: Decimal = ZERO,
    insured_freight: Decimal = ZERO,
    payment_route: str = "支付宝",
    customer: int | None = 0,
    dice: Random | None = None,
) -> Sale:
    """
    Make up one order, received `age` days before `now`; with an age of None its receipt is not known.

    The coupon is shared over the lines by price, as in an import. A customer of None is a guest.
    """
    dice = dice or Random(order_no)
    ordered_at, delivered_at = _times(datetime.fromtimestamp(now.timestamp(), HOME), age, dice)
    goods = [products()[item.sku] for item in items]
    prices = [
        ZERO if item.is_gift else product.price * item.quantity - item.discount
        for item, product in zip(items, goods, strict=True)
    ]
    if coupon:
        prices = [price - part for price, part in zip(prices, money.share(coupon, prices), strict=True)]
    number = 10_000 + (customer if customer is not None else Random(order_no).randrange(9_000))
    return Sale(
        order_no=order_no,
        channel=CHANNELS[number % len(CHANNELS)],
        ordered_at=ordered_at,
        lines=tuple(
            SoldLine(
                line_no=line_no,
                sku=product.sku,
                name=product.name,
                category=product.category,
                quantity=item.quantity,
                paid=paid,
                delivered_at=delivered_at,
                is_gift=item.is_gift,
                warranty_months=product.warranty_months,
                attributes={kind: dice.choice(values) for kind, values in product.choices},
            )
            for line_no, (item, product, paid) in enumerate(zip(items, goods, prices, strict=True), start=1)
        ),
        customer_no="" if customer is None else f"U{number}",
        name=_name(number),
        phone=f"102{number:08d}",
        email=f"kehu{number}@example.com" if number % 3 else "",
        region=REGIONS[number % len(REGIONS)],
        freight=freight,
        insured_freight=insured_freight,
        payment_route=payment_route,
    )


def _made_up(order_no: str, place: int, now: datetime, dice: Random) -> Sale:
    chosen = dice.sample(sorted(products()), k=dice.choice((1, 1, 1, 2, 2, 3, 4)))
    items = []
    for sku in chosen:
        price = products()[sku].price
        quantity = dice.choice((1, 1, 1, 2, 3)) if price < 300 else 1
        discount = dice.choice((ZERO, ZERO, ZERO, (price * quantity / 10).quantize(Decimal("0.1")))) + ZERO
        items.append(Item(sku, quantity, discount))
    worth = sum((products()[item.sku].price * item.quantity - item.discount for item in items), ZERO)
    if worth > 300 and dice.random() < 0.2:
        items.append(Item("TS-GB-04" if "TS-GB-04" not in chosen else "FZ-WZ-07", is_gift=True))
    return sale(
        order_no,
        items,
        now=now,
        age=AGES[place % len(AGES)],
        coupon=max((off for least, off in _COUPONS if worth >= least), default=ZERO) if dice.random() < 0.4 else ZERO,
        freight=ZERO if worth >= 99 else dice.choice((_yuan("8.00"), _yuan("10.00"))),
        insured_freight=dice.choice((ZERO, ZERO, _yuan("10.00"), _yuan("12.00"))),
        payment_route=dice.choice(ROUTES),
        customer=dice.randrange(160) if dice.random() > 0.05 else None,
        dice=dice,
    )


_COUPONS = ((99, _yuan("10.00")), (199, _yuan("25.00")), (399, _yuan("60.00")), (999, _yuan("150.00")))


def _times(now: datetime, age: int | None, dice: Random) -> tuple[datetime, datetime | None]:
    """
    When it was ordered and when received; never later than now, even for what came today.
    """
    on = now.date() - timedelta(days=3 if age is None else age)
    received_at = datetime.combine(on, time(dice.randrange(9, 21), dice.randrange(60)), HOME)
    if received_at > now:
        received_at = max(datetime.combine(on, time(), HOME), now - timedelta(minutes=20))
    ordered_at = datetime.combine(
        on - timedelta(days=dice.randrange(2, 6)), time(dice.randrange(7, 23), dice.randrange(60)), HOME
    )
    return ordered_at, None if age is None else received_at


def _name(number: int) -> str:
    if number % 80 == 7:
        return FAMOUS[number // 80 % len(FAMOUS)]
    return FAMILY[number * 7 % len(FAMILY)] + GIVEN[number * 11 % len(GIVEN)]

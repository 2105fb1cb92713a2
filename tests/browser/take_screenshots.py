"""
The handbook's pictures: one real order, returned by the shop's people in the real UI (`make screenshots`).

    python -m tests.browser.take_screenshots ORDERS.csv.gz [FOLDER]

ORDERS is the UCI "Online Retail" file; it is imported as if its last day were yesterday.
What follows a return is rehearsed with a made-up order.
Everything runs in a shop of its own, which is thrown away afterwards.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from aftersales import clock
from tests.browser import ui
from tests.browser.afterwards import walk
from tests.browser.person import Desk
from tests.browser.test_board_in_the_browser import printed, reads
from tests.conftest import Shop
from tests.gateways.receivers import receiving

IMAGES = Path("docs/images")
# invoice 542405 of 27 January 2011, four days before the file's last: three cake stands and a candle holder
ORDER, SKU, NAME = "542405", "22776", "SWEETHEART CAKESTAND 3 TIER"


async def take(shop: Shop, album: Path) -> None:
    """Take the order from application to refund, and a picture at each stop."""
    at = shop.stack
    async with ui.chromium(for_pictures=True) as browser:
        plain = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url)
        for order, sku in (("D100005", "XB-SB-03"), ("D100021", "JD-CF-03")):  # a list of one is no list
            other = await plain.apply(application("C08 陈晓", order, sku, 1, "七天无理由"))
            await plain.until(other, "待审核")

        desk = await Desk.open(browser, ui_url=at.ui_url, api_url=at.api_url, album=album)
        wanted = application("C07 王小明", ORDER, SKU, 3, "质量问题") | {"凭证": ["照片：托盘边缘有裂纹"]}
        run = await desk.apply(wanted, picture="application")
        name = await desk.until(run, "待审核")
        await desk.listed("客户服务部", picture="runs", height=1080)
        await desk.menu(run, picture="resume")
        await reads(desk, printed(shop, "客户服务部看板"), name.split()[1])
        await desk.picture("board", height=900)
        await desk.answer(run, {"操作人": "C02 刘洋", "审核结果": "通过"}, picture="review")

        await desk.until(run, "待取件")
        await desk.answer(run, {"操作人": "L02 孙磊", "承运商": "顺丰", "运单号": "SF100200300"})

        await desk.until(run, "待收货")
        arrived = {"订单行": f"第1行 {SKU} {NAME}", "实收数量": 3}
        await desk.answer(run, {"操作人": "W02 郑凯", "实收商品": [arrived], "是否到齐": "全部到齐"}, picture="receipt")

        await desk.until(run, "待验收")
        line = {"订单行": f"第1行 {SKU} {NAME}", "实际原因": "质量问题"}
        looked_at = [{**line, "数量": 2, "等级": "可再销售"}, {**line, "数量": 1, "等级": "不可再销售"}]
        await desk.answer(run, {"操作人": "W03 冯雪", "验收明细": looked_at, "验收结论": "通过"}, picture="inspection")

        await desk.until(run, "待退款")
        await desk.answer(run, {"操作人": "A02 许诺", "交易流水号": "ALI-2026-0001"}, picture="refund")

        name = await desk.until(run, "已完成")
        await desk.artifact(run, f"{name.split()[1]} 时间线", picture="timeline", height=2000)

        with receiving() as receiver:
            await walk(browser, shop, receiver, album)


def application(operator: str, order: str, sku: str, quantity: int, reason: str) -> dict[str, object]:
    """What a clerk fills in."""
    return {
        "操作人": operator,
        "订单号": order,
        "退货商品": [{"商品编码": sku, "数量": quantity}],
        "退货原因": reason,
        "寄回方式": "上门取件",
    }


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said. Stops the script when it could not."""
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def main(orders: str, folder: str = str(IMAGES)) -> None:
    """Start a shop, import the orders, take the pictures, and throw the shop away."""
    home = Path(tempfile.mkdtemp(prefix="aftersales-pictures-"))
    home.chmod(0o711)  # the user of PostgreSQL must be able to enter
    shop = Shop(home / "shop")
    try:
        shop.start()
        yesterday = (clock.now() - timedelta(days=1)).date()
        said = told(
            shop.command(
                "import", "orders", str(Path(orders).resolve()), "--mapping", "online-retail",
                "--shift-to", yesterday.isoformat(), "--bad-rows", str(home / "skipped.csv"),
            )
        )  # fmt: skip
        print(re.sub(r"\n{2,}", "\n", said).strip())
        asyncio.run(take(shop, Path(folder)))
        for picture in sorted(Path(folder).glob("*.png")):
            print(f"{picture}  {picture.stat().st_size // 1024} kB")
    finally:
        shop.kill()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])

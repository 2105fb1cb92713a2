"""Commands: whatever is wrong is one sentence and exit code 1 (cannot) or 2 (wrong use), and changes nothing."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from aftersales.store.engine import transaction
from tests.badinput.conftest import REFUSED_DECISION, House, nothing_changes

HEADER = (
    "order_no,line_no,channel,customer_no,name,phone,email,region,ordered_at,delivered_at,sku,product,category,quantity,"
    "unit_price,line_discount,order_discount,freight,insured_freight,payment_route\n"
)
GOOD = "A1,1,官方网站,U1,王小明,10200000001,,上海市,2026-03-01 10:00,2026-03-03,S1,保温杯,家居,2,10.00,,,,,支付宝\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every bad kind."""
    made = tmp_path_factory.mktemp("files")
    for name, content in {
        "good.csv": (HEADER + GOOD).encode(),
        "empty.csv": b"",
        "empty.jpg": b"",
        "header.csv": HEADER.encode(),
        "columns.csv": b"order_no,sku\nA1,S1\n",
        "twice.csv": (HEADER.strip() + ",sku\n" + GOOD.strip() + ",S2\n").encode(),
        "semicolons.csv": (HEADER + GOOD).replace(",", ";").encode(),
        "binary.csv": bytes(range(256)) * 64,
        "excel.csv": b"PK\x03\x04" + bytes(100),
        "wide.csv": (HEADER + GOOD).encode("utf-16"),
        "shift-jis.csv": (HEADER + "カップ" * 50).encode("shift-jis") + b"\xff\xfe\xfd",
        "cut.csv.gz": gzip.compress((HEADER + GOOD * 1000).encode())[:-20],
        "photo.jpg": b"\xff\xd8 a scratch",
        "list.json": b"[]",
        "text.json": b"seal",
        "deep.json": b"[" * 100_000,
        "latin.json": b'{"cases": "\xe9"}',
        "half.json": json.dumps({"cases": {"RT-1": [1]}}).encode(),
    }.items():
        (made / name).write_bytes(content)
    (made / "big.mp4").touch()
    os.truncate(made / "big.mp4", 20 * 1024 * 1024 + 1)
    (made / "folder.csv").mkdir()
    os.mkfifo(made / "pipe.csv")
    return made


def cannot(what: str, args: str | list[str], sentence: str, *, besides: str = "") -> Any:
    return pytest.param(args if isinstance(args, list) else args.split(), 1, sentence, besides, id=what)


def wrong(what: str, args: str | list[str], sentence: str) -> Any:
    return pytest.param(args if isinstance(args, list) else args.split(), 2, sentence, "", id=what)


DAYS = "--from 2026-01-01 --to 2026-12-31"
STORM, LATER = ("2026-11-20", "2026-11-25"), "2026-12-31"
WHEN = f"--from {STORM[0]} --to {STORM[1]} --until {LATER}"
COMMANDS = [
    # decide
    wrong("decide nothing", "decide", "缺少参数 售后单号（查看用法：aftersales decide --help）。"),
    wrong("decide without a gate", "decide {review}", "缺少参数 环节（查看用法：aftersales decide --help）。"),
    wrong("decide at a gate that is none", "decide {review} 审批 --as C08", "环节 的值不对：没有环节“审批”，可选：review（审核）、question（客户答复）、correction（补正）、exception（例外审批）、pickup（取件）、receipt（收货）、tracing（查件）、inspection（验收）、resolution（处理决定）、sendback（寄回）、countersign（复核）、release（放款）、refund（退款）、reimbursement（补运费）、visit（回访）、revisit（二次回访）、supervisor（主管回访）（查看用法：aftersales decide --help）。"),
    cannot("decide for a case that is not there", "decide RT-1 审核 --as C08 decision=通过", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    cannot("decide for a case with a slash", "decide RT/1 审核 --as C08 decision=通过", "没有售后单 RT/1，请核对单号（可用 aftersales case list 查看）。"),
    wrong("decide with a NUL", ["decide", "RT\x001", "审核", "--as", "C08"], "售后单号 的值不对：没有内容或含有空字符（查看用法：aftersales decide --help）。"),
    cannot("decide at a gate that is not open", "decide {review} 退款 --as A03 amount=1.00 reference=ALI-1", "{review} 现在待审核，还不能办理退款。"),
    wrong("decide without saying who", "decide {review} 审核 decision=通过", "缺少选项 --as（查看用法：aftersales decide --help）。"),
    cannot("decide as nobody", "decide {review} 审核 --as X9 decision=通过", "经办人“X9”不在员工名单中，请用员工编号，如 C07。", besides=REFUSED_DECISION),
    cannot("decide as another department", "decide {review} 审核 --as W01 decision=通过", "经办人 W01 吴芳 不属于客户服务部，请由客户服务部的员工处理。", besides=REFUSED_DECISION),
    wrong("decide with two decisions", "decide {review} 审核 --as C08 decision=通过 decision=驳回", "审核结果写了两次，请只写一次（查看用法：aftersales decide --help）。"),
    wrong("decide with the operator among the words", "decide {review} 审核 --as C08 operator=C01", "操作人请用 --as 工号 指定，不写在项目里（查看用法：aftersales decide --help）。"),
    wrong("decide with the gate among the words", "decide {review} 审核 --as C08 gate=refund-0 decision=通过", "审核没有“gate”这一项，可以填写：decision（审核结果）、reason（驳回理由）、missing（缺少的材料）、question（请客户补充什么）、remark（备注）（查看用法：aftersales decide --help）。"),
    cannot("decide with a control sign", ["decide", "{review}", "审核", "--as", "C08", "decision=通过", "remark=\a"], "审核没有填对（备注：含有不可见的控制字符，请删去后重填），请改正后重新提交。"),
    cannot("decide with 501 signs", ["decide", "{review}", "审核", "--as", "C08", "decision=通过", "remark=" + "长" * 501], "审核没有填对（备注：请填写最多 500 字，不含控制字符），请改正后重新提交。"),
    wrong("decide with an option that is none", "decide {review} 审核 --as C08 --force", "没有选项 --force（查看用法：aftersales decide --help）。"),
    cannot("refund of minus one", "decide {refund} 退款 --as A03 amount=-1 reference=ALI-1000", "退款确认没有填对（退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99），请改正后重新提交。"),
    cannot("refund of 1.234", "decide {refund} 退款 --as A03 amount=1.234 reference=ALI-1000", "退款确认没有填对（退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99），请改正后重新提交。"),
    cannot("refund of NaN", "decide {refund} 退款 --as A03 amount=NaN reference=ALI-1000", "退款确认没有填对（退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99），请改正后重新提交。"),
    cannot("refund in full width", "decide {refund} 退款 --as A03 amount=１８８ reference=ALI-1000", "退款确认没有填对（退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99），请改正后重新提交。"),
    cannot("refund of another amount", "decide {refund} 退款 --as A03 amount=1.00 reference=ALI-1000", "退款金额应为 188.00 元，填写的是 1.00 元，请按应退金额付款后再确认。", besides=REFUSED_DECISION),
    cannot("receipt of a line that is not there", "decide {receipt} 收货 --as W02 items=第9行:1 rest=全部到齐", "收货没有填对（实收商品第1行订单行：请选择：第1行 SKU-1 台灯），请改正后重新提交。"),
    wrong("receipt of a row with too much in it", "decide {receipt} 收货 --as W02 items=第1行:1:好:坏 rest=全部到齐", "实收商品的一行有 4 项，应写成：订单行:实收数量，行与行之间用逗号分开（查看用法：aftersales decide --help）。"),
    cannot("receipt of a row with nothing in it", "decide {receipt} 收货 --as W02 items=: rest=全部到齐", "收货没有填对（实收商品第1行订单行：必填，选择订单行，如 第1行；实收商品第1行实收数量：必填，整数，至少为 1），请改正后重新提交。"),
    # signal
    wrong("signal nothing", "signal {pickup}", "缺少参数 事件（查看用法：aftersales signal --help）。"),
    wrong("signal what is no event", "signal {pickup} parcel.flown", "事件 的值不对：没有事件“parcel.flown”，可选：parcel.picked_up（已取件）、parcel.received（已收货）、parcel.lost（包裹丢失）、parcel.sent_back（已寄回客户）、refund.sent（已退款）、refund.failed（退款失败）、freight.reimbursed（已补运费）、case.cancelled（已取消）（查看用法：aftersales signal --help）。"),
    cannot("signal to a case that is not there", "signal RT-1 已取件", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    cannot("signal as nobody", "signal {pickup} 已取件 --as X9", "经办人“X9”不在员工名单中，请用员工编号，如 C07。", besides=REFUSED_DECISION),
    cannot("signal as another department", "signal {pickup} 已取件 --as C07", "经办人 C07 王小明 没有“登记取件”权限，请换有权限的员工处理。", besides=REFUSED_DECISION),
    wrong("signal with an empty key", ["signal", "{pickup}", "已取件", "--key", ""], "--key 的值不对：没有内容或含有空字符（查看用法：aftersales signal --help）。"),
    cannot("signal with a number of blanks", ["signal", "{pickup}", "已取件", "tracking_no=a b c d"], "运单号没有填对，请写4～40 位字母、数字或短横线。"),
    cannot("signal with freight of 1e3", "signal {pickup} 已取件 freight=1e3", "承运凭证金额没有填对，请写最多两位小数的金额，如 19.99。"),
    wrong("signal with goods of a million", "signal {receipt} 已收货 items=SKU-1:1000000", "“SKU-1:1000000”应写成 商品编码:件数，如 items=TS-01:2,HW-02:1（查看用法：aftersales signal --help）。"),
    wrong("signal with goods of minus one", "signal {receipt} 已收货 items=SKU-1:-1", "“SKU-1:-1”应写成 商品编码:件数，如 items=TS-01:2,HW-02:1（查看用法：aftersales signal --help）。"),
    cannot("signal with goods of another order", "signal {receipt} 已收货 items=SKU-9:1", "商品 SKU-9 不在本售后单的待收商品中，请核对商品编码。", besides=REFUSED_DECISION),
    cannot("signal with no goods", "signal {receipt} 已收货 items=,", "实收商品不能为空；全部到齐时不写这一项，否则写成 商品编码:数量。"),
    cannot("signal of a cancellation after the goods came", "signal {inspection} 已取消", "{inspection} 的商品已收货，不能取消，请按验收结果继续处理。", besides=REFUSED_DECISION),
    cannot("signal of another amount", "signal {refund} 已退款 amount=1.00 reference=ALI-1000", "退款金额应为 188.00 元，填写的是 1.00 元，请按应退金额付款后再确认。", besides=REFUSED_DECISION),
    # parcel
    wrong("a parcel without saying what became of it", "parcel done SF1001 --as W02", "缺少选项 --note（查看用法：aftersales parcel done --help）。"),
    cannot("a parcel that is not on the list", "parcel done SF9999 --as W02 --note 已寄回", "没有登记过运单 SF9999 的包裹，请对照无主包裹清单核对运单号。"),
    cannot("a parcel with a number that is none", "parcel done SF/9 --as W02 --note 已寄回", "运单号没有填对，请写4～40 位字母、数字或短横线。"),
    # evidence
    cannot("evidence that is a folder", "evidence add {review} {folder}/folder.csv --as C07", "{folder}/folder.csv 是文件夹，请指定其中的一个文件。"),
    cannot("evidence that is a pipe", "evidence add {review} {folder}/pipe.csv --as C07", "{folder}/pipe.csv 不是普通文件，请指定照片或文档。"),
    cannot("evidence that is empty", "evidence add {review} {folder}/empty.jpg --as C07", "文件 {folder}/empty.jpg 是空的，请核对文件。"),
    cannot("evidence of 20 MB and a byte", "evidence add {review} {folder}/big.mp4 --as C07", "文件 {folder}/big.mp4 超过 20 MB，请压缩后再登记，或登记它的链接。"),
    cannot("evidence that is not there", "evidence add {review} {folder}/none.jpg --as C07", "没有文件 {folder}/none.jpg，请核对路径；如果这是一句说明，请加上 --note。"),
    cannot("evidence that says nothing", ["evidence", "add", "{review}", " \u3000", "--as", "C07"], "凭证说明没有内容，请填写后再登记。"),
    cannot("evidence that nobody sees", ["evidence", "add", "{review}", "\u200b", "--as", "C07", "--note"], "凭证说明没有内容，请填写后再登记。"),
    cannot("evidence for a case that is not there", "evidence add RT-1 {folder}/photo.jpg --as C07", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    cannot("evidence by nobody", "evidence add {review} {folder}/photo.jpg --as X9", "经办人“X9”不在员工名单中，请用员工编号，如 C07。"),
    wrong("evidence without saying who", "evidence add {review} {folder}/photo.jpg", "缺少选项 --as（查看用法：aftersales evidence add --help）。"),
    cannot("list of a case that is not there", "evidence list RT-1", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    # extend
    wrong("extend nowhere", f"extend --from {STORM[0]} --to {STORM[1]} --until {LATER} --reason 台风 --as C01", "缺少选项 --region（查看用法：aftersales extend --help）。"),
    wrong("extend without saying who", f"extend --region 浙江 {WHEN} --reason 台风", "缺少选项 --as（查看用法：aftersales extend --help）。"),
    wrong("extend without a reason", f"extend --region 浙江 {WHEN} --as C01", "缺少选项 --reason（查看用法：aftersales extend --help）。"),
    wrong("extend to a day that there is not", f"extend --region 浙江 --from {STORM[0]} --to {STORM[1]} --until 2026-02-30 --reason 台风 --as C01", "--until 的值不对：“2026-02-30”不是日期，请写成 2026-03-05 这样（查看用法：aftersales extend --help）。"),
    wrong("extend a stage that is none", f"extend --region 浙江 {WHEN} --reason 台风 --as C01 --stage 天上", "--stage 的值不对：没有环节“天上”，可选：新申请、待审核、待客户答复、待补正、待例外审批、待取件、待收货、待查件、待验收、待处理决定、待寄回、待复核、待放款、待退款、待补运费、待回访、待二次回访、待主管回访、已完成、已驳回、已取消（查看用法：aftersales extend --help）。"),
    cannot("extend in one sign", f"extend --region 浙江 {WHEN} --reason 雨 --as C01", "延期原因会告知客户，请写 2～500 字，如：台风，快递停运。"),
    cannot("extend for what nobody types", ["extend", "--region", "浙江", *WHEN.split(), "--reason", "台\a风", "--as", "C01"], "延期原因含有不可见的控制字符，请删去后重填。"),
    cannot("extend backwards", f"extend --region 浙江 --from {STORM[1]} --to {STORM[0]} --until {LATER} --reason 台风 --as C01", f"受影响的时间从 {STORM[1]} 到 {STORM[0]}，前后颠倒了，请对调。"),
    cannot("extend as nobody", f"extend --region 浙江 {WHEN} --reason 台风 --as X9", "经办人“X9”不在员工名单中，请用员工编号，如 C07。"),
    cannot("a clerk extends", f"extend --region 浙江 {WHEN} --reason 台风 --as C07", "经办人 C07 王小明 没有“延期”权限，请换有权限的员工处理。"),
    cannot("extend where nobody lives", f"extend --region 月球 {WHEN} --reason 台风 --as C01", "没有未结案的售后单在“月球”。地区按订单写的开头比较，如“浙江”“浙江 杭州”；现有：浙江 杭州（{cases} 张）。"),
    cannot("extend by one sign of a region", f"extend --region 浙 {WHEN} --reason 台风 --as C01", "没有未结案的售后单在“浙”。地区按订单写的开头比较，如“浙江”“浙江 杭州”；现有：浙江 杭州（{cases} 张）。"),
    # case, customer
    cannot("show a case that is not there", "case show RT-20200101-0001", "没有售后单 RT-20200101-0001，请核对单号（可用 aftersales case list 查看）。"),
    wrong("show two cases", "case show {review} {refund}", "多余的参数 {refund}（查看用法：aftersales case show --help）。"),
    wrong("list a stage that is none", "case list --stage 天上", "--stage 的值不对：没有环节“天上”，可选：新申请、待审核、待客户答复、待补正、待例外审批、待取件、待收货、待查件、待验收、待处理决定、待寄回、待复核、待放款、待退款、待补运费、待回访、待二次回访、待主管回访、已完成、已驳回、已取消（查看用法：aftersales case list --help）。"),
    wrong("list a department that is none", "case list --department 财务部", "没有部门“财务部”，可选：客户服务部（customer_service）、物流与配送部（logistics）、仓储部（warehouse）、售后服务部（aftersales）、技术支持部（technical）（查看用法：aftersales case list --help）。"),
    wrong("list a million rows", "case list --limit 1000000", "--limit 的值不对：“1000000”应写成 1 到 10000 的整数（查看用法：aftersales case list --help）。"),
    cannot("contact without a phone", "case contact {review} --as C07 name=赵一", "联系人没有填对（邮箱：必填），请改正后重新提交。"),
    cannot("contact with a phone of letters", "case contact {review} --as C07 name=赵一 phone=abcdef", "联系人没有填对（电话：请填写6～18 位电话号码，可带 + 和短横线），请改正后重新提交。"),
    cannot("contact with a bad address", "case contact {review} --as C07 name=赵一 email=a@b", "联系人没有填对（邮箱：请填写邮箱地址，如 a@b.cn），请改正后重新提交。"),
    cannot("contact by the warehouse", "case contact {review} --as W01 name=赵一 phone=10200000001", "经办人 W01 吴芳 不属于客户服务部，请由客户服务部的员工处理。"),
    wrong("contact with what is not asked", "case contact {review} --as C07 微信=x", "联系人没有“微信”这一项，可以填写：name（姓名）、phone（电话）、email（邮箱）（查看用法：aftersales case contact --help）。"),
    cannot("account of two digits", "case account {review} --as C07 holder=赵一 bank=工行 number=12", "收款账户没有填对（账号：请填写4～40 位账号），请改正后重新提交。"),
    cannot("account with nobody's name", ["case", "account", "{review}", "--as", "C07", "holder= ", "bank=工行", "number=622588"], "收款账户没有填对（户名：请填写1～60 字，不含控制字符），请改正后重新提交。"),
    cannot("account for a case that is not there", "case account RT-1 --as C07 holder=赵一 bank=工行 number=622588", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    cannot("customer of an order that is not there", "customer show D404 --as C01", "没有订单 D404，请核对订单号。"),
    cannot("customer by somebody without the right", "customer show D1 --as L02", "经办人 L02 孙磊 没有“查看联系方式”权限，请换有权限的员工处理。"),
    cannot("customer for a reason too long", ["customer", "show", "D1", "--as", "C01", "--reason", "长" * 501], "查看理由超过 500 字，请写短一些，或作为文件登记。"),
    cannot("customer for a reason with a sign nobody types", ["customer", "show", "D1", "--as", "C01", "--reason", "\a"], "查看理由含有不可见的控制字符，请删去后重填。"),
    # quote
    cannot("quote for an order that is not there", "quote D404 --line SKU-1=1 --reason quality", "没有订单 D404，请核对订单号。"),
    cannot("quote for goods that are not in it", "quote D1 --line SKU-9=1 --reason quality", "订单 D1 中没有商品 SKU-9，请填写该订单的商品编码：SKU-1。"),
    cannot("quote for more than is left", "quote D1 --line SKU-1=99 --reason quality", "订单 D1 的商品 SKU-1 仅剩 0 件可退，售后单 {review} 已占用 1 件，请在该售后单中处理。"),
    wrong("quote for a quantity of minus one", "quote D1 --line SKU-1=-1 --reason quality", "--line 的值不对：“SKU-1=-1”应写成 商品编码=件数，如 TS-01=2，件数为 1 或以上（查看用法：aftersales quote --help）。"),
    wrong("quote for a reason that is none", "quote D1 --line SKU-1=1 --reason 心情", "--reason 的值不对：没有退货原因“心情”，可选：七天无理由（no_reason）、尺码不合适（wrong_size）、不喜欢（dislike）、质量问题（quality）、运输破损（damaged）、发错商品（wrong_item）（查看用法：aftersales quote --help）。"),
    wrong("quote for a day that there is not", "quote D1 --line SKU-1=1 --reason quality --asked-on 2026-02-30", "--asked-on 的值不对：“2026-02-30”不是日期，请写成 2025-03-07（查看用法：aftersales quote --help）。"),
    cannot("quote for a day before the order", "quote D1 --line SKU-1=1 --reason quality --asked-on 1999-01-01", "申请日期 1999-01-01 早于订单 D1 的下单日期 {bought}，请核对 --asked-on。"),
    wrong("quote for an order with a NUL", ["quote", "D\x001", "--line", "SKU-1=1", "--reason", "quality"], "ORDER 的值不对：没有内容或含有空字符（查看用法：aftersales quote --help）。"),
    # orders, imports
    cannot("show an order that is not there", "orders show D404", "没有订单 D404，请核对订单号；订单用 aftersales import orders 导入。"),
    wrong("show an order with a NUL", ["orders", "show", "D\x001"], "订单号 的值不对：没有内容或含有空字符（查看用法：aftersales orders show --help）。"),
    wrong("show an order of bytes", ["orders", "show", "\udcff"], "订单号 的值不对：含有无法识别的字符（查看用法：aftersales orders show --help）。"),
    wrong("import nothing", "import", "缺少子命令（查看用法：aftersales import --help）。"),
    wrong("import what cannot be imported", "import customers {folder}/good.csv", "没有命令 customers（查看用法：aftersales import --help）。"),
    wrong("import without a mapping", "import orders {folder}/good.csv", "缺少选项 --mapping（查看用法：aftersales import orders --help）。"),
    wrong("import with a mapping that is a path", "import orders {folder}/good.csv --mapping ../house", "--mapping 的值不对：没有映射“../house”，可用的有：online-retail、standard（查看用法：aftersales import orders --help）。"),
    cannot("import a folder", "import orders {folder}/folder.csv --mapping standard", "{folder}/folder.csv 不是普通文件（读取要过两遍，不能用文件夹或管道），请先存成 CSV 文件。"),
    cannot("import a pipe", "import orders {folder}/pipe.csv --mapping standard", "{folder}/pipe.csv 不是普通文件（读取要过两遍，不能用文件夹或管道），请先存成 CSV 文件。"),
    cannot("import a file that is not there", "import orders {folder}/none.csv --mapping standard", "没有文件 {folder}/none.csv，请核对路径。"),
    cannot("import an empty file", "import orders {folder}/empty.csv --mapping standard", "文件 {folder}/empty.csv 是空的，请重新导出；第一行应是表头。"),
    cannot("import a binary file", "import orders {folder}/binary.csv --mapping standard", "文件 {folder}/binary.csv 既不是 UTF-8 也不是 GBK 编码，请另存为“CSV UTF-8（逗号分隔）”后再导入。"),
    cannot("import a spreadsheet", "import orders {folder}/excel.csv --mapping standard", "{folder}/excel.csv 是 Excel 或压缩包文件，请在 Excel 中另存为“CSV UTF-8（逗号分隔）”后再导入。"),
    cannot("import UTF-16", "import orders {folder}/wide.csv --mapping standard", "文件 {folder}/wide.csv 是 UTF-16 编码，请另存为“CSV UTF-8（逗号分隔）”后再导入。"),
    cannot("import a file of another language", "import orders {folder}/shift-jis.csv --mapping standard", "文件 {folder}/shift-jis.csv 既不是 UTF-8 也不是 GBK 编码，请另存为“CSV UTF-8（逗号分隔）”后再导入。"),
    cannot("import half of a packed file", "import orders {folder}/cut.csv.gz --mapping standard", "压缩文件 {folder}/cut.csv.gz 不完整或已损坏，请重新取得这个文件。"),
    cannot("import a header alone", "import orders {folder}/header.csv --mapping standard", "文件 {folder}/header.csv 只有表头，没有订单行，请核对导出时选的日期和条件。"),
    cannot("import without the columns", "import orders {folder}/columns.csv --mapping standard", "文件 {folder}/columns.csv 的表头缺少这些列：line_no、channel、customer_no、name、phone、email、region、ordered_at、delivered_at、product、category、quantity、unit_price、line_discount、order_discount、freight、insured_freight、payment_route；请补上，或换一个映射（--mapping，这里用的是“标准订单文件”）。"),
    cannot("import with a column twice", "import orders {folder}/twice.csv --mapping standard", "文件 {folder}/twice.csv 的表头里有重复的列：sku；请删去多余的。"),
    cannot("import with semicolons", "import orders {folder}/semicolons.csv --mapping standard", "文件 {folder}/semicolons.csv 的表头缺少这些列：order_no、line_no、channel、customer_no、name、phone、email、region、ordered_at、delivered_at、sku、product、category、quantity、unit_price、line_discount、order_discount、freight、insured_freight、payment_route；分隔符应是英文逗号，文件里用的是“;”；请补上，或换一个映射（--mapping，这里用的是“标准订单文件”）。"),
    wrong("import to a day that there is not", "import orders {folder}/good.csv --mapping standard --shift-to 2026-02-30", "--shift-to 的值不对：“2026-02-30”不是日期，请写成 2026-03-05 这样（查看用法：aftersales import orders --help）。"),
    wrong("import to a day in words", "import orders {folder}/good.csv --mapping standard --shift-to 明天", "--shift-to 的值不对：“明天”不是日期，请写成 2026-03-05 这样（查看用法：aftersales import orders --help）。"),
    wrong("import to the year 9999", "import orders {folder}/good.csv --mapping standard --shift-to 9999-12-31", "--shift-to 的值不对：“9999-12-31”的年份不在 1990 到 2099 之间（查看用法：aftersales import orders --help）。"),
    cannot("import with bad rows into a folder", "import orders {folder}/good.csv --mapping standard --bad-rows {folder}", "{folder} 是文件夹，请给 --bad-rows 一个文件名。"),
    cannot("returns of a mapping without returns", "import returns {folder}/good.csv --mapping standard --as C07", "映射“标准订单文件”没有写 returns_prefix（退货单号的开头），不能导入退货，请补上。"),
    cannot("returns of another file", "import returns {folder}/good.csv --mapping online-retail --as C07", "文件 {folder}/good.csv 的表头缺少这些列：InvoiceNo、StockCode、Description、Quantity、InvoiceDate、UnitPrice、CustomerID、Country；请补上，或换一个映射（--mapping，这里用的是“UCI Online Retail”）。"),
    cannot("returns from a folder", "import returns {folder}/folder.csv --mapping online-retail --as C07", "{folder}/folder.csv 不是普通文件（读取要过两遍，不能用文件夹或管道），请先存成 CSV 文件。"),
    wrong("returns without saying who", "import returns {folder}/good.csv --mapping online-retail", "缺少选项 --as（查看用法：aftersales import returns --help）。"),
    cannot("done with a row that is not there", "import unplaced --done 999", "没有序号为 999 的待处理行，请用 aftersales import unplaced 查看。"),
    wrong("done with a row that is no number", "import unplaced --done 第一", "--done 的值不对：“第一”应写成 1 到 2147483647 的整数（查看用法：aftersales import unplaced --help）。"),
    wrong("done with a row of 10**30", "import unplaced --done 1000000000000000000000000000000", "--done 的值不对：“1000000000000000000000000000000”应写成 1 到 2147483647 的整数（查看用法：aftersales import unplaced --help）。"),
    cannot("unplaced rows into a folder", "import unplaced --csv {folder}", "写不了 {folder}（是文件夹），请换一个位置。"),
    # audit
    wrong("audit of nothing", "audit", "缺少子命令（查看用法：aftersales audit --help）。"),
    wrong("audit of the month", "audit month", "没有命令 month（查看用法：aftersales audit --help）。"),
    cannot("audit of a case that is not there", "audit case RT-1", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    cannot("verify a case that is not there", "audit verify --case RT-1", "没有售后单 RT-1，请核对单号（可用 aftersales case list 查看）。"),
    wrong("verify from a day that there is not", "audit verify --from 2026-02-30", "--from 的值不对：“2026-02-30”不是日期，请写成 2026-03-05 这样（查看用法：aftersales audit verify --help）。"),
    wrong("verify backwards", "audit verify --from 2026-12-31 --to 2026-01-01", "--from 2026-12-31 晚于 --to 2026-01-01，请对调（查看用法：aftersales audit verify --help）。"),
    cannot("verify with a seal that is not there", "audit verify --seal {folder}/none.json", "读不了封存文件 {folder}/none.json，请核对路径。"),
    cannot("verify with a folder", "audit verify --seal {folder}", "读不了封存文件 {folder}，请核对路径。"),
    cannot("verify with a seal that is a list", "audit verify --seal {folder}/list.json", "这不是封存文件，请用 aftersales audit seal 写出的文件。"),
    cannot("verify with a seal that is a word", "audit verify --seal {folder}/text.json", "{folder}/text.json 不是封存文件，请用 aftersales audit seal 写出的文件。"),
    cannot("verify with a seal that is very deep", "audit verify --seal {folder}/deep.json", "{folder}/deep.json 不是封存文件，请用 aftersales audit seal 写出的文件。"),
    cannot("verify with a seal of another encoding", "audit verify --seal {folder}/latin.json", "{folder}/latin.json 不是封存文件，请用 aftersales audit seal 写出的文件。"),
    cannot("verify with half a seal", "audit verify --seal {folder}/half.json", "这不是封存文件，请用 aftersales audit seal 写出的文件。"),
    cannot("seal into a folder", "audit seal --out {folder}", "写不了 {folder}（是文件夹），请换一个位置。"),
    cannot("seal into a folder that is not there", "audit seal --out {folder}/none/seal.json", "写不了 {folder}/none/seal.json（没有这个文件或文件夹），请换一个位置。"),
    wrong("refunds of no period", "audit refunds", "缺少选项 --from（查看用法：aftersales audit refunds --help）。"),
    wrong("refunds from yesterday", "audit refunds --from 昨天 --to 2026-12-31", "--from 的值不对：“昨天”不是日期，请写成 2026-03-05 这样（查看用法：aftersales audit refunds --help）。"),
    wrong("refunds to the 31st of November", "audit refunds --from 2026-11-01 --to 2026-11-31", "--to 的值不对：“2026-11-31”不是日期，请写成 2026-03-05 这样（查看用法：aftersales audit refunds --help）。"),
    wrong("refunds backwards", "audit refunds --from 2026-12-31 --to 2026-01-01", "--from 2026-12-31 晚于 --to 2026-01-01，请对调（查看用法：aftersales audit refunds --help）。"),
    wrong("refunds as a picture", f"audit refunds {DAYS} --format png", "--format 的值不对：可选：table、csv、json（查看用法：aftersales audit refunds --help）。"),
    cannot("refunds into a folder", f"audit refunds {DAYS} --out {{folder}}", "写不了 {folder}（是文件夹），请换一个位置。"),
    wrong("windows of the year 0000", "audit windows --from 0000-01-01 --to 2026-12-31", "--from 的值不对：“0000-01-01”不是日期，请写成 2026-03-05 这样（查看用法：aftersales audit windows --help）。"),
    cannot("windows into a folder that is not there", f"audit windows {DAYS} --out {{folder}}/none/windows.csv", "写不了 {folder}/none/windows.csv（没有这个文件或文件夹），请换一个位置。"),
    # terms
    wrong("due on a day that there is not", ["due", "2026-02-30 10:00", "3 wd"], "“2026-02-30 10:00”不是时刻，请写成 \"2025-03-07 10:00\" 或带时区的 2025-03-07T10:00+08:00（查看用法：aftersales due --help）。"),
    wrong("due in three days", ["due", "2026-03-01 10:00", "three days"], "“three days”不是时限，请写成数字加单位，如 30 min（分钟）、24 h（小时）、3 wd（工作日）、7 d（自然日）、4 sh（服务小时）（查看用法：aftersales due --help）。"),
    wrong("due in no time", ["due", "2026-03-01 10:00", "0 wd"], "“0 wd”不是时限，请写成数字加单位，如 30 min（分钟）、24 h（小时）、3 wd（工作日）、7 d（自然日）、4 sh（服务小时）（查看用法：aftersales due --help）。"),
    wrong("due after the last year", ["due", "9999-12-31 10:00", "3 wd"], "从“9999-12-31 10:00”起算 3 wd 超出了可计算的年份，请写近一些的时刻（查看用法：aftersales due --help）。"),
    wrong("a calendar of next year", "calendar next", "“next”不是年份，请写成四位数字，如 2026（查看用法：aftersales calendar --help）。"),
    cannot("a calendar of a year nobody knows", "calendar 2099", "chinesecalendar 1.11.0 没有 2099 年的放假安排（只有 2004–2026 年），请在放假通知公布后升级它再试，或照 config/calendars/2026.yaml 的样子手写 2099.yaml。"),
    wrong("a calendar by force", "calendar 2026 --force", "--force 只与 --write 同用，请加上 --write（查看用法：aftersales calendar --help）。"),
    # the house
    wrong("a command that is none", "refund", "没有命令 refund（查看用法：aftersales --help）。"),
    wrong("an option that is none", "--fast", "没有选项 --fast（查看用法：aftersales --help）。"),
    wrong("check of something", "check returns", "多余的参数 returns（查看用法：aftersales check --help）。"),
    wrong("sample of something", "sample more", "多余的参数 more（查看用法：aftersales sample --help）。"),
    cannot("prepare by hand", "prepare", "prepare 由 aftersales up 调用；单独运行请先设置 AFTERSALES_DATABASE_URL 和 AFTERSALES_PREFECT_DATABASE_URL。"),
    cannot("deploy without a stack", "deploy", "服务没有运行，请先在另一个终端运行 make run。"),
    cannot("a worker without a stack", "worker", "服务没有运行，请先在另一个终端运行 make run。"),
    cannot("a demo without a stack", "demo", "服务没有运行，请先在另一个终端运行 make run。"),
    cannot("desk check without a stack", "desk check", "Prefect 服务没有运行，请先在另一个终端运行 make run。"),
    cannot("desk rebuild without a stack", "desk rebuild", "Prefect 服务没有运行，请先在另一个终端运行 make run。"),
    wrong("desk dance", "desk dance", "没有命令 dance（查看用法：aftersales desk --help）。"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "code", "sentence", "besides"), COMMANDS)
async def test_a_command_that_cannot_says_so_in_one_sentence_and_changes_nothing(
    house: House, aftersales: Any, home: Path, folder: Path, args: list[str], code: int, sentence: str, besides: str
):
    names = {gate: case.case_no for gate, case in house.at.items()} | {"folder": str(folder)}
    async with transaction() as connection:
        bought_at = await connection.scalar(text("select ordered_at from orders where order_no = 'D1'"))
        names["cases"] = await connection.scalar(text("select count(*)::text from cases where closed_at is null"))
    names["bought"] = bought_at.astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
    words = [word.format_map(names) if "{" in word else word for word in args]

    with nothing_changes(house, besides=besides, folder=home):
        left = await aftersales(*words)

    assert (left.code, left.out, left.err) == (code, "", sentence.format_map(names))

"""Which units of a line are free, and which a return takes (P-19, P-20)."""

from __future__ import annotations

import pytest

from aftersales.rules import units
from aftersales.words import Holder, Unable
from tests.builders import a_line, an_order, runs


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        pytest.param(runs(), runs((0, 5)), id="nothing taken, all is free"),
        pytest.param(runs((0, 5)), runs(), id="all taken, nothing is free"),
        pytest.param(runs((0, 2)), runs((2, 5)), id="the first two are taken"),
        pytest.param(runs((4, 5)), runs((0, 4)), id="the last one is taken"),
        pytest.param(runs((1, 2), (3, 4)), runs((0, 1), (2, 3), (4, 5)), id="holes are free on both sides"),
        pytest.param(runs((3, 4), (1, 3)), runs((0, 1), (4, 5)), id="runs come in any order and may touch"),
        pytest.param(runs((1, 4), (2, 3)), runs((0, 1), (4, 5)), id="overlapping runs count once"),
        pytest.param(runs((2, 2)), runs((0, 5)), id="an empty run takes nothing"),
    ],
)
def test_free_units(taken, free):
    assert units.free(5, taken) == free


@pytest.mark.parametrize(
    ("taken", "wanted", "chosen"),
    [
        pytest.param(runs(), 2, runs((0, 2)), id="the lowest units go first"),
        pytest.param(runs((0, 1)), 2, runs((1, 3)), id="P-20 what another case holds is passed over"),
        pytest.param(runs((1, 2)), 3, runs((0, 1), (2, 4)), id="units around a hole make two runs"),
        pytest.param(runs((0, 1)), 4, runs((1, 5)), id="exactly what is left"),
    ],
)
def test_the_lowest_free_units_are_taken(taken, wanted, chosen):
    assert units.lowest_free(5, taken, wanted) == chosen


def test_p20_more_than_is_free_is_refused():
    with pytest.raises(ValueError, match="5 units wanted, 4 there"):
        units.lowest_free(5, runs((2, 3)), 5)


def test_a_line_of_74215_units_is_two_runs():
    assert units.free(74_215, runs((40_000, 40_001))) == runs((0, 40_000), (40_001, 74_215))


@pytest.mark.parametrize(
    ("quantities", "dealt"),
    [
        pytest.param([2], [runs((0, 1), (3, 4))], id="P-14 two of three held units arrived: the lowest two"),
        pytest.param([2, 1], [runs((0, 1), (3, 4)), runs((4, 5))], id="two sellable, one not"),
        pytest.param([0, 3], [runs(), runs((0, 1), (3, 5))], id="none sellable"),
    ],
)
def test_units_are_dealt_out_by_quantity(quantities, dealt):
    assert units.deal(runs((0, 1), (3, 5)), quantities) == dealt


def test_more_units_than_were_held_cannot_be_dealt_out():
    with pytest.raises(ValueError, match="2 units wanted, 1 there"):
        units.deal(runs((0, 1), (3, 5)), [2, 2])


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        pytest.param([("A", 1)], [(1, 1)], id="the first line of the SKU"),
        pytest.param([("A", 4)], [(1, 3), (3, 1)], id="then the next line of it"),
        pytest.param([("B", 1), ("A", 1)], [(1, 1), (2, 1)], id="several SKUs, in line order"),
        pytest.param([("A", 2), ("A", 2)], [(1, 3), (3, 1)], id="a SKU named twice is added up"),
    ],
)
def test_a_sku_means_its_lines_in_line_order(wanted, lines):
    order = an_order(
        a_line(line_no=3, sku="A", quantity=2),
        a_line(line_no=1, sku="A", quantity=4, taken=runs((0, 1))),
        a_line(line_no=2, sku="B"),
    )

    assert units.by_sku(order=order, wanted=wanted) == lines


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        pytest.param([("X", 1)], "订单 SO-1 中没有商品 X，请填写该订单的商品编码：A、B、C。", id="unknown SKU"),
        pytest.param(
            [("A", 3)],
            "订单 SO-1 的商品 A 仅剩 2 件可退，售后单 RT-7 已占用 1 件，请改为不超过 2 件，或在该售后单中处理。",
            id="P-20 more than is free",
        ),
        pytest.param(
            [("B", 1)],
            "订单 SO-1 的商品 B 仅剩 0 件可退，售后单 RT-8 已退 1 件，请在该售后单中处理。",
            id="P-20 nothing is free",
        ),
        pytest.param(
            [("C", 3)],
            "订单 SO-1 的商品 C 共 2 件，可退 2 件，申请了 3 件，请填写 1 到 2 件。",
            id="more than was bought",
        ),
        pytest.param([("A", 0)], "商品 A 的退货件数是 0，请填写 1 件或以上。", id="none at all"),
    ],
)
def test_a_sku_that_cannot_come_back_is_refused_in_one_sentence(wanted, sentence):
    order = an_order(
        a_line(line_no=1, sku="A", quantity=3, taken=runs((0, 1)), holders=(Holder("RT-7", 1),)),
        a_line(line_no=2, sku="B", taken=runs((0, 1)), holders=(Holder("RT-8", 1, is_settled=True),)),
        a_line(line_no=3, sku="C", quantity=2),
    )

    with pytest.raises(Unable) as refused:
        units.by_sku(order=order, wanted=wanted)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        pytest.param([(2, 1)], "订单 SO-1 没有第 2 行，请核对行号。", id="unknown line"),
        pytest.param([(1, 3)], "订单 SO-1 第 1 行仅剩 2 件可退，申请了 3 件，请改为不超过 2 件。", id="too many"),
        pytest.param(
            [(1, 1), (1, 2)], "订单 SO-1 第 1 行仅剩 2 件可退，申请了 3 件，请改为不超过 2 件。", id="named twice"
        ),
        pytest.param([(1, 0)], "订单 SO-1 第 1 行共 3 件，可退 2 件，申请了 0 件，请填写 1 到 2 件。", id="none"),
    ],
)
def test_lines_that_cannot_come_back_are_refused_in_one_sentence(wanted, sentence):
    with pytest.raises(Unable) as refused:
        units.choose(order=an_order(a_line(quantity=3, taken=runs((1, 2)))), wanted=wanted)
    assert str(refused.value) == sentence


def test_p20_the_chosen_units_are_the_lowest_free_ones():
    order = an_order(a_line(quantity=3, taken=runs((1, 2))))

    (chosen,) = units.choose(order=order, wanted=[(1, 2)])

    assert chosen.units == runs((0, 1), (2, 3))

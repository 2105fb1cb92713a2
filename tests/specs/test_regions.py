"""Which orders lie in a region that somebody names (GEN-08)."""

from __future__ import annotations

import pytest

from aftersales.rules import regions


@pytest.mark.parametrize(
    ("region", "asked", "lies"),
    [
        pytest.param("浙江省 杭州市", "浙江", True, id="a province"),
        pytest.param("浙江 杭州", "浙江省", True, id="a province with its 省, an order without"),
        pytest.param("浙江省杭州市余杭区", "浙江 杭州", True, id="a city, an address without blanks"),
        pytest.param("浙江省 宁波市", "浙江 杭州", False, id="another city"),
        pytest.param("浙江省 杭州市", "杭州", False, id="a city needs its province"),
        pytest.param("北京市 朝阳区", "北京", True, id="a city that is a province"),
        pytest.param("广西壮族自治区 南宁市", "广西", True, id="an autonomous region"),
        pytest.param("河南省 郑州市", "河", False, id="one sign is no region"),
        pytest.param("海南省 三亚市", "海南", True, id="an island"),
        pytest.param("青海省 海南藏族自治州", "海南", False, id="another place of that name"),
        pytest.param("United Kingdom", "united kingdom", True, id="a country, whatever its capitals"),
        pytest.param("United Kingdom, London", "United Kingdom", True, id="a city of that country"),
        pytest.param("Nigeria", "Niger", False, id="a country whose name goes on"),
        pytest.param("", "浙江", False, id="nobody knows where"),
        pytest.param("市", "市", False, id="a kind is no place"),
    ],
)
def test_gen08_a_region_begins_with_the_words_that_are_asked_for(region: str, asked: str, lies: bool):
    assert regions.lies_in(region, asked) is lies

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
        pytest.param("吉林省 长春市", "吉林市", False, id="a city is not the province of its name"),
        pytest.param("吉林 长春", "吉林市", False, id="nor when the order leaves 省 out"),
        pytest.param("吉林市 昌邑区", "吉林市", True, id="that city, in an order that leaves its province out"),
        pytest.param("吉林省 吉林市", "吉林省吉林市", True, id="that city with its province"),
        pytest.param("吉林 吉林", "吉林 吉林市", True, id="that city with its province, an order without"),
        pytest.param("吉林省 长春市", "吉林省", True, id="the province of that name"),
        pytest.param("吉林省 长春市", "吉林", True, id="the province of that name, without its 省"),
        pytest.param("河南省 郑州市", "河南市", False, id="a city that there is not"),
        *(
            pytest.param(f"{city} 一区", f"{city}市", True, id=f"{city}, an order without 市")
            for city in ("北京", "上海", "天津", "重庆")
        ),
        pytest.param("杭州 西湖", "杭州市", True, id="a city, an order without province and 市"),
        pytest.param("United Kingdom", "united kingdom", True, id="a country, whatever its capitals"),
        pytest.param("United Kingdom, London", "United Kingdom", True, id="a city of that country"),
        pytest.param("Nigeria", "Niger", False, id="a country whose name goes on"),
        pytest.param("", "浙江", False, id="nobody knows where"),
        pytest.param("市", "市", False, id="a kind is no place"),
    ],
)
def test_gen08_a_region_begins_with_the_words_that_are_asked_for(region: str, asked: str, lies: bool):
    assert regions.lies_in(region, asked) is lies

import pytest
from basket import Basket, Item, discounted, subtotal, total, vat
from basket.pricing import cheapest, shipping


def filled(*pairs):
    basket = Basket()
    for price, count in pairs:
        basket.add(Item(f"thing{price}", price, 0.5), count)
    return basket


@pytest.mark.parametrize(
    ("pairs", "expected"), [((), 0), (((100, 1),), 100), (((100, 2), (30, 3)), 290)]
)
def test_subtotal(pairs, expected):
    assert subtotal(filled(*pairs)) == expected


@pytest.mark.parametrize(
    ("amount", "percent", "expected"),
    [(1000, 0, 1000), (1000, 10, 900), (999, 50, 499), (1000, -5, 1000), (1000, 120, 0)],
)
def test_discounted(amount, percent, expected):
    assert discounted(amount, percent) == expected


def test_vat():
    assert vat(1000) == 200
    assert vat(999, 10) == 99
    with pytest.raises(ValueError):
        vat(1, -1)


@pytest.mark.parametrize(
    ("weight", "expected"), [(0, 0), (1, 0), (1.1, 500), (9.9, 500), (10, 1000)]
)
def test_shipping(weight, expected):
    assert shipping(weight) == expected


def test_total():
    assert total(filled((1000, 2))) == 2400
    assert total(filled((1000, 4)), percent=50) == 2900


def test_cheapest():
    items = [Item("b", 20), Item("a", 10), Item("c", 30)]
    assert cheapest(items).name == "a"
    assert cheapest([]) is None

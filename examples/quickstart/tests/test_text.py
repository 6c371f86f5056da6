import pytest
from basket import Basket, Item, money, receipt, slug
from basket.text import plural


@pytest.mark.parametrize(
    ("cents", "expected"), [(0, "0.00"), (5, "0.05"), (1234, "12.34"), (-250, "-2.50")]
)
def test_money(cents, expected):
    assert money(cents) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("Apple", "apple"), ("Red  Apple!", "red-apple"), ("--", "")]
)
def test_slug(name, expected):
    assert slug(name) == expected


def test_plural():
    assert plural(1, "pear") == "1 pear"
    assert plural(3, "pear") == "3 pears"


def test_receipt():
    basket = Basket()
    basket.add(Item("apple", 50), 2)
    assert receipt(basket) == "2 apples 1.00\ntotal 1.00"

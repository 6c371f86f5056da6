import pytest
from basket import Basket, Item

APPLE = Item("apple", 50, 0.2)
MELON = Item("melon", 300, 2.5)


@pytest.fixture
def basket():
    made = Basket()
    made.add(APPLE, 3)
    made.add(MELON)
    return made


def test_add_counts(basket):
    basket.add(APPLE)
    assert basket.counts == {APPLE: 4, MELON: 1}


def test_add_refuses_nothing(basket):
    with pytest.raises(ValueError):
        basket.add(APPLE, 0)


def test_remove_takes_one(basket):
    basket.remove(APPLE)
    assert basket.counts[APPLE] == 2


def test_remove_the_last(basket):
    basket.remove(MELON)
    assert MELON not in basket
    with pytest.raises(KeyError):
        basket.remove(MELON)


def test_length(basket):
    assert len(basket) == 4


def test_iterates_in_order(basket):
    assert list(basket) == [(APPLE, 3), (MELON, 1)]


def test_heaviest(basket):
    assert basket.heaviest() is MELON
    assert Basket().heaviest() is None


def test_weight(basket):
    assert basket.weight() == pytest.approx(3.1)

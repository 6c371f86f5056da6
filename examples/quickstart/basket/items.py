"""What can be bought, and what holds it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """Something for sale. price: in cents."""

    name: str
    price: int
    weight: float = 0.0


class Basket:
    """Items with their counts, in the order in which they were first added."""

    def __init__(self):
        self.counts = {}

    def add(self, item, count=1):
        """Puts count pieces of the item in; a count below 1 raises ValueError."""
        if count < 1:
            raise ValueError("count must be at least 1")
        self.counts[item] = self.counts.get(item, 0) + count

    def remove(self, item):
        """Takes one piece of the item out; KeyError if there is none."""
        if item not in self.counts:
            raise KeyError(item)
        self.counts[item] -= 1
        if self.counts[item] == 0:
            del self.counts[item]

    def __len__(self):
        return sum(self.counts.values())

    def __contains__(self, item):
        return item in self.counts

    def __iter__(self):
        return iter(self.counts.items())

    def heaviest(self):
        """The item of the greatest weight, None in an empty basket."""
        if not self.counts:
            return None
        return max(self.counts, key=lambda item: item.weight)

    def weight(self):
        """The weight of all pieces."""
        result = 0
        for item, count in self.counts.items():
            result += item.weight * count
        return result

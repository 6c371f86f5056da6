from __future__ import annotations

import pytest

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")

from p2assist.generation import attention  # noqa: E402


@pytest.mark.parametrize(("heads", "rows", "free"), [(1, 5, 0), (4, 3, 100), (3, 1, 70)])
def test_rounded_attention_is_the_exact_one_but_for_rounding(
    heads: int, rows: int, free: int
) -> None:
    torch.manual_seed(0)
    groups, width, slots = 2, 32, attention.padded(130)
    query = torch.randn(groups, heads * rows, width)
    keys, values = torch.randn(2, groups, slots, width).bfloat16()
    mask = torch.zeros(rows, slots)
    for row in range(rows):
        mask[row, free + row : free + 20] = -torch.inf
    mask[:, 130:] = -torch.inf
    found = attention.rounded(query, keys, values, mask.bfloat16(), free)
    wanted = attention.exact(query, keys.float(), values.float(), mask.repeat(heads, 1))
    assert found.dtype == query.dtype
    assert float((found - wanted).norm() / wanted.norm()) < 0.02


def test_attention_of_few_rows_is_the_exact_one() -> None:
    torch.manual_seed(0)
    groups, heads, rows, width, slots = 2, 3, 4, 32, 192
    query, (keys, values) = (
        torch.randn(groups, heads * rows, width),
        torch.randn(2, groups, slots, width),
    )
    mask = torch.zeros(rows, slots).masked_fill(torch.rand(rows, slots) < 0.3, -torch.inf)
    given = query, keys, values, mask.repeat(heads, 1)
    torch.testing.assert_close(attention.few(*given), attention.exact(*given))


def test_numbers_of_slots_are_few_and_enough() -> None:
    assert {attention.padded(slots) for slots in range(1, 129)} == {64, 128}
    assert all(attention.padded(slots) >= slots for slots in range(1, 300))

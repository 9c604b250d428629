"""Names completed with Tab."""

import pytest

from chatctl.completion import Completion, complete

PRESENT = ["bob", "Bea", "anna", "Anna-2", "ÄRGER", "van der Berg"]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("bo", "bob|"),
        ("BO", "bob|"),
        ("be", "Bea|"),
        ("är", "ÄRGER|"),
        ("van d", "van der Berg|"),
    ],
)
def test_one_name_is_completed_with_its_bar_in_the_way_it_is_written(typed: str, text: str) -> None:
    assert complete(typed, PRESENT) == Completion(text, [])


def test_several_names_are_completed_as_far_as_they_agree() -> None:
    assert complete("c", ["carla", "carlos"]) == Completion("carl", ["carla", "carlos"])


def test_what_is_typed_is_never_shortened() -> None:
    assert complete("AN", PRESENT) == Completion("AN", ["anna", "Anna-2"])


def test_nothing_typed_may_be_anyone() -> None:
    assert complete("", ["bob", "ann"]) == Completion("", ["ann", "bob"])


@pytest.mark.parametrize("typed", ["bob|he", "x", "hello bo"])
def test_what_is_no_name_stays_as_it_is(typed: str) -> None:
    assert complete(typed, PRESENT) == Completion(typed, [])

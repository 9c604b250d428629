"""Which name a command tries when the one it wants is taken."""

from itertools import islice

import pytest

from chatctl.identities import NameInUseError
from chatctl.signin import next_name
from common.names import suggestions


@pytest.mark.parametrize(
    ("tried", "suggested", "held", "name"),
    [
        ({"ann"}, "ann-7", set(), "ann-7"),
        ({"ann"}, "ann-7", {"ann-3", "ann-9"}, "ann-3"),
        ({"ann", "ann-3"}, "ann-7", {"ann-3"}, "ann-7"),
        ({"ann"}, None, {"ann-5"}, "ann-5"),
        ({"ann"}, None, set(), "ann-2"),
        ({"ann", "ann-2"}, None, set(), "ann-3"),
        ({"ann"}, "another", set(), "another"),
        ({"ann", "another"}, "another", set(), "ann-2"),
    ],
)
def test_a_name_of_ours_comes_before_the_one_suggested_and_that_before_any_other(
    tried: set[str], suggested: str | None, held: set[str], name: str
) -> None:
    assert next_name("ann", tried, suggested, held.__contains__) == name


def test_a_hundred_taken_names_are_enough() -> None:
    taken = {"ann", *islice(suggestions("ann"), 100)}

    with pytest.raises(NameInUseError, match="choose another"):
        next_name("ann", taken, None, lambda name: True)

"""``HOST:PORT`` as people write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import PORT, join_address, split_address

PORTS = st.integers(1, 65_535)
HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("chat.example:7000", ("chat.example", 7_000)),
        ("chat.example", ("chat.example", PORT)),
        ("chat.example:", ("chat.example", PORT)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("10.0.0.1:65535", ("10.0.0.1", 65_535)),
        (":7000", ("127.0.0.1", 7_000)),
        ("", ("127.0.0.1", PORT)),
        (":", ("127.0.0.1", PORT)),
        ("[::1]:7000", ("::1", 7_000)),
        ("[::1]", ("::1", PORT)),
        ("[fe80::1%eth0]:7000", ("fe80::1%eth0", 7_000)),
        ("[chat.example]:7000", ("chat.example", 7_000)),
    ],
)
def test_a_host_or_a_port_that_is_left_out_is_the_default(
    text: str, address: tuple[str, int]
) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("host", ["::1", "::", "2001:db8::5555", "fe80::1%eth0"])
def test_ipv6_without_brackets_is_a_host_without_a_port(host: str) -> None:
    assert split_address(host) == (host, PORT)


def test_the_default_host_can_be_another() -> None:
    assert split_address(":7000", default_host="::") == ("::", 7_000)


@pytest.mark.parametrize(
    "text",
    ["a:0", "a:65536", "a:-1", "a:+1", "a: 1", "a:1 ", "a:http", "a:1_0", "a:٣", "[::1]:0", ":x"],
)
def test_a_port_that_is_none_is_told_the_range(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not an address: the port is 1 to 65535, as in host:5555$"
    ):
        split_address(text)


@pytest.mark.parametrize("text", ["[::1", "[", "[::1]7000", "[::1] :7000"])
def test_broken_brackets_are_told_how_to_write_them(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address: write \[::1\]:5555$"):
        split_address(text)


def test_only_ipv6_gets_brackets() -> None:
    assert join_address("10.0.0.1", 7_000) == "10.0.0.1:7000"
    assert join_address("::1", 7_000) == "[::1]:7000"


@given(host=HOSTS, port=PORTS)
def test_a_joined_address_splits_into_its_parts(host: str, port: int) -> None:
    assert split_address(join_address(host, port)) == (host, port)


@given(text=st.text(":[]0123456789a", max_size=12))
def test_what_splits_has_a_host_and_a_port_in_range_and_all_else_is_a_value_error(
    text: str,
) -> None:
    try:
        host, port = split_address(text)
    except ValueError:
        return
    assert host
    assert 1 <= port <= 65_535

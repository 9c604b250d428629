"""Addresses as people write them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.addresses import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("chat.example.org:7000", "chat.example.org", 7000),
        ("chat.example.org", "chat.example.org", 5555),
        (":7000", "127.0.0.1", 7000),
        ("[::1]:5555", "::1", 5555),
        ("[::1]", "::1", 5555),
        ("::1", "::1", 5555),
        ("fe80::1%eth0", "fe80::1%eth0", 5555),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_what_is_left_out_is_this_machine_and_port_5555(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host:",
        "host:0",
        "host:65536",
        "host:http",
        "[::1",
        "a b",
        "[::1]5555",
        "a]",
        "a:٣",
        "a:+1",
    ],
)
def test_anything_else_is_refused_with_the_forms_that_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Address.parse(text)


@given(
    st.one_of(
        st.ip_addresses().map(str), st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
    ),
    st.integers(1, 65535),
)
def test_an_address_that_was_written_is_read_back(host: str, port: int) -> None:
    address = Address(host, port)

    assert Address.parse(str(address)) == address


@given(st.text())
def test_no_text_is_worse_than_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert address.host
    assert 1 <= address.port <= 65535


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert str(Address(str(ipaddress.IPv6Address(1)), 1)) == "[::1]:1"

"""Names of received files: whatever a peer calls a file, its local name is safe."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.share.storage.filenames import BITMAP, local_name, numbered_names
from common.names import invisible_kind

# Also what no program should send: halves of surrogate pairs, NULs, overlong names.
ANYTHING = st.text(st.characters() | st.sampled_from("./\\ \0\u202e\u200b\ud800:*?"), max_size=300)
ENDING = st.sampled_from(["", ".part", ".PART.map", ".txt", "..", "/"])


def is_safe(name: str) -> bool:
    return (
        len(f"{name}{BITMAP}".encode()) <= 255
        and not name.startswith((".", " "))
        and not name.endswith((".", " "))
        and not set(name) & set('/\\<>:"|?*')
        and not name.lower().endswith((".part", ".part.map"))
        and name.isprintable()
        and not any(map(invisible_kind, name))
    )


@given(owner=ANYTHING, name=st.builds(str.__add__, ANYTHING, ENDING))
def test_whatever_a_file_is_called_its_name_here_is_safe(owner: str, name: str) -> None:
    local = local_name(owner, name)
    candidates = list(itertools.islice(numbered_names(local), 12))
    assert candidates[0] == local
    assert len(set(candidates)) == 12
    assert all(map(is_safe, candidates)), candidates


@pytest.mark.parametrize(
    ("owner", "name", "local"),
    [
        ("1", "client_1_TimeData.txt", "1_client_1_TimeData.txt"),
        ("Zoë", "Übersicht 2.pdf", "Zoë_Übersicht 2.pdf"),
        ("1", "../../etc/passwd", "1_passwd"),
        ("1", "..\\..\\boot.ini", "1_boot.ini"),
        ("1", "/etc/cron.d/..", "1_cron.d"),
        ("1", "..", "1_file"),
        ("1", "", "1_file"),
        ("1", "\u200b\u2060", "1_file"),
        ("1", ".bashrc", "1_bashrc"),
        ("..", ".", "_file"),
        ("a/b", "c", "a_b_c"),
        ("1", "CON", "1_CON"),
        ("1", "film.Part", "1_film.Part_"),
        ("1", "a.part.map", "1_a.part.map_"),
        ("1", "part", "1_part"),
        ("1", "a\x00b\x1b[31mc\n.txt", "1_ab[31mc .txt"),
        ("1", "invoice\u202efdp.exe", "1_invoicefdp.exe"),
        ("1", "stream:$DATA", "1_stream_$DATA"),
        ("1", "what? *.txt", "1_what_ _.txt"),
        ("1", "ends with dots... ", "1_ends with dots"),
        ("1", "wide\u3000space\u00a0.txt", "1_wide space .txt"),
        ("1", "a\ud800.txt", "1_a.txt"),
        ("1", "e\u0301.txt", "1_\u00e9.txt"),
    ],
)
def test_unsafe_parts_of_a_name_are_removed(owner: str, name: str, local: str) -> None:
    assert local_name(owner, name) == local


def test_a_name_that_is_too_long_keeps_its_owner_and_its_suffix(tmp_path: Path) -> None:
    local = local_name("ä" * 64, "ö" * 255 + ".tar.gz")
    assert local.startswith("ä" * 50 + "_ö")
    assert local.endswith("ö.gz")
    for variant in itertools.islice(numbered_names(local), 3):
        (tmp_path / f"{variant}{BITMAP}").touch()
    assert len(list(tmp_path.iterdir())) == 3


def test_variants_are_numbered_before_the_suffix() -> None:
    assert list(itertools.islice(numbered_names("1_a.txt"), 3)) == [
        "1_a.txt",
        "1_a-2.txt",
        "1_a-3.txt",
    ]
    assert list(itertools.islice(numbered_names("1_a"), 2)) == ["1_a", "1_a-2"]

"""Secrets at rest: they open for their owner, with a key of this folder, as they were sealed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.secret import Secret
from store.keyring import FILE, Keyring, SealBroken

KEY = Secret("sk-a long enough key")


def test_a_secret_opens_again_in_another_process(tmp_path: Path) -> None:
    sealed = Keyring(tmp_path).seal(KEY, "endpoint/a")
    assert Keyring(tmp_path).open(sealed, "endpoint/a") == KEY


def test_no_file_is_made_before_there_is_a_secret(tmp_path: Path) -> None:
    Keyring(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_keys_are_the_users_alone(tmp_path: Path) -> None:
    Keyring(tmp_path).seal(KEY, "endpoint/a")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_what_was_sealed_before_a_rotation_still_opens(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    old = ring.seal(KEY, "endpoint/a")
    ring.rotate()
    new = ring.seal(KEY, "endpoint/a")
    again = Keyring(tmp_path)
    assert old[:4] != new[:4]
    assert [again.open(each, "endpoint/a") for each in (old, new)] == [KEY, KEY]


def test_a_secret_moved_to_another_owner_does_not_open(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    sealed = ring.seal(KEY, "endpoint/a")
    with pytest.raises(SealBroken):
        ring.open(sealed, "endpoint/b")


def test_without_the_keys_a_sealed_secret_says_that_it_must_be_given_again(tmp_path: Path) -> None:
    sealed = Keyring(tmp_path).seal(KEY, "endpoint/a")
    (tmp_path / FILE).unlink()
    with pytest.raises(SealBroken):
        Keyring(tmp_path).open(sealed, "endpoint/a")


@given(st.data())
def test_a_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ring = Keyring(tmp_path_factory.mktemp("keys"))
    sealed = bytearray(ring.seal(KEY, "endpoint/a"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        ring.open(bytes(sealed), "endpoint/a")


def test_a_sealed_secret_shows_nothing_of_it(tmp_path: Path) -> None:
    sealed = Keyring(tmp_path).seal(KEY, "endpoint/a")
    assert KEY.reveal().encode() not in sealed

"""The key file, the keys and the encryption of stored secrets."""

import ast
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from painchain.core import key_file
from painchain.core.crypto import (
    KEY_BYTES,
    Box,
    Keyring,
    KeyUnusable,
    check_sealed,
    new_key,
    open_sealed,
    parse_key,
    seal,
)
from painchain.core.key_file import KeySource
from tests.conftest import settings_for

STARTERS = 8
KEY = "A" * 43 + "="
ROUNDS = 25


def load(file: Path, is_new: bool = True) -> Keyring:
    """Load the keys from PainChain's own key file, as the server does when it starts."""
    return key_file.load_keys(KeySource(str(file), file, own=True), lambda: is_new)


def test_the_key_file_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load(tmp_path / "secret.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_the_same_file_always_gives_the_same_key(tmp_path: Path) -> None:
    first = load(tmp_path / "secret.key")
    content = (tmp_path / "secret.key").read_bytes()
    assert load(tmp_path / "secret.key") == first
    assert (tmp_path / "secret.key").read_bytes() == content
    assert [len(root) for root in first.roots] == [KEY_BYTES]


def test_two_new_keys_differ(tmp_path: Path) -> None:
    assert load(tmp_path / "one.key") != load(tmp_path / "other.key")


def test_a_configured_key_is_used_and_no_file_is_created(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "mine").write_text(f" {key}\n")
    for chosen in ({"secret_key": key}, {"secret_key_file": str(tmp_path / "mine")}):
        where = key_file.key_source(settings_for(tmp_path, **chosen))
        assert key_file.load_keys(where, lambda: True) == parse_key(key, "the key")
        assert key not in repr(where)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_missing_configured_key_file_is_not_created(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text(new_key())
    where = key_file.key_source(settings_for(tmp_path, secret_key_file=str(tmp_path / "mine")))
    (tmp_path / "mine").unlink()
    with pytest.raises(KeyUnusable, match="mine"):
        key_file.load_keys(where, lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_no_key_is_created_for_an_existing_database(tmp_path: Path) -> None:
    with pytest.raises(
        KeyUnusable, match=r"secret\.key does not exist.*Restore secret\.key from a backup.*rotate-key --lost"
    ):
        load(tmp_path / "secret.key", is_new=False)
    assert list(tmp_path.iterdir()) == []


def test_a_server_waits_for_the_key_that_another_server_creates(tmp_path: Path) -> None:
    keyrings = []

    def is_new() -> bool:
        keyrings.append(load(tmp_path / "secret.key"))  # the other server creates the key, then the database
        return False

    assert [key_file.load_keys(KeySource("", tmp_path / "secret.key", own=True), is_new)] == keyrings


def test_a_key_file_readable_by_others_causes_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own, group = tmp_path / "secret.key", tmp_path / "mine"
    load(own)
    group.write_text(new_key())
    configured = KeySource("", group)
    for file, mode, warned in ((own, 0o600, 0), (own, 0o640, 1), (group, 0o640, 0), (group, 0o644, 1)):
        file.chmod(mode)
        caplog.clear()
        key_file.read_keys(configured if file is group else KeySource("", own, own=True))
        assert len(caplog.messages) == warned
        assert all(f"chmod 600 {file}" in message for message in caplog.messages)


def test_writing_keys_replaces_the_file_atomically_readable_only_by_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    where, old = KeySource("", file, own=True), load(file)
    file.chmod(0o644)
    key_file.write_keys(where, both := Keyring((b"1" * KEY_BYTES, *old.roots)))
    assert key_file.read_keys(where) == both
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_servers_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    start = Barrier(STARTERS)

    def first_start(file: Path) -> Keyring:
        start.wait()
        return load(file)

    with ThreadPoolExecutor(STARTERS) as pool:
        for number in range(ROUNDS):
            file = tmp_path / f"{number}.key"
            assert len(set(pool.map(first_start, [file] * STARTERS))) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not a key",
        b"\xff\xfe\x00",
        b"c2hvcnQ=",
        b"A" * 43,
        new_key().encode() * 2,
        new_key().encode() + b" hunter2",
    ],
    ids=["empty", "blank", "words", "not text", "too short", "cut off", "two in one", "one and another"],
)
def test_a_corrupt_key_file_is_refused_and_not_changed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret.key"
    file.write_bytes(content)
    with pytest.raises(KeyUnusable) as refused:
        load(file)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert file.read_bytes() == content


def test_a_key_file_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for file in (tmp_path / "folder", tmp_path / "missing" / "secret.key"):
        with pytest.raises(KeyUnusable, match=r"secret\.key|folder"):
            load(file)


def test_an_invalid_configured_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    for key in ("hunter2", "hünter2", new_key()[:-5]):
        with pytest.raises(KeyUnusable, match="PAINCHAIN_SECRET_KEY") as refused:
            key_file.read_keys(key_file.key_source(settings_for(tmp_path, secret_key=key)))
        assert key not in str(refused.value)


def test_each_purpose_and_root_key_has_its_own_derived_key() -> None:
    first, second = Keyring((b"1" * KEY_BYTES,)), Keyring((b"2" * KEY_BYTES,))
    derived = [keys.derive(purpose) for keys in (first, second) for purpose in ("sessions", "stored secrets", "")]
    assert len({*derived, *first.roots, *second.roots}) == len(derived) + 2
    assert {len(key) for key in derived} == {KEY_BYTES}
    assert first.derive("sessions") == Keyring((b"1" * KEY_BYTES,)).derive("sessions")


def test_keys_are_derived_by_hkdf() -> None:
    root = b"1" * KEY_BYTES
    library = HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"painchain sessions")
    assert Keyring((root,)).derive("sessions") == library.derive(root)


def test_no_two_purposes_share_a_key() -> None:
    """Each purpose (sessions, known browsers, stored secrets, chain, seals …) occurs once in the code."""
    calls = [
        node.args[0].value
        for path in sorted((Path(__file__).parents[2] / "painchain").rglob("*.py"))
        if "migrations" not in path.parts  # a migration repeats the purposes on purpose: it derives the same keys
        if "derive" in (source := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("derive", "derived")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    purposes = {"sessions", "known browsers", "stored secrets", "chain of events", "seals of the log"}
    assert {*purposes, "name of the key"} <= set(calls)
    assert len(calls) == len(set(calls))
    keys = Keyring((b"1" * KEY_BYTES,))
    derived_keys = {keys.derive(purpose) for purpose in calls}
    assert len(derived_keys) == len(calls)
    assert keys.id not in {key[:8].hex() for key in derived_keys - set(keys.derived("name of the key"))}


def test_a_retired_key_decrypts_nothing() -> None:
    new, old = (Keyring((key_byte * KEY_BYTES,)) for key_byte in (b"1", b"2"))
    both = Keyring((*new.roots, *old.roots))
    assert open_sealed(both.box(), seal(new.box(), "made-up-token")) == "made-up-token"
    with pytest.raises(KeyUnusable):
        open_sealed(both.box(), seal(old.box(), "made-up-token"))
    assert open_sealed(both.led_by(old.id).box(), seal(old.box(), "made-up-token")) == "made-up-token"


@given(st.text())
def test_encrypted_text_is_decrypted_with_the_same_key(secret: str) -> None:
    sealed = seal(Keyring((b"1" * KEY_BYTES,)).box(), secret)
    assert open_sealed(Keyring((b"1" * KEY_BYTES,)).box(), sealed) == secret


@given(st.text(max_size=40), st.integers(0, 99), st.sampled_from("A-_=x\n+é"))
def test_a_secret_passes_the_check_exactly_if_it_can_be_decrypted(secret: str, place: int, character: str) -> None:
    box = Keyring((b"1" * KEY_BYTES,)).box()
    sealed = seal(box, secret)
    for stored in (sealed, sealed[:place] + character + sealed[place + 1 :], sealed[:place] + character):
        assert is_accepted(check_sealed, box, stored) == is_accepted(open_sealed, box, stored)
    check_sealed(box, sealed)


def is_accepted(read: Callable[[Box, str], object], box: Box, sealed: str) -> bool:
    """Return whether a secret is accepted."""
    with suppress(KeyUnusable):
        read(box, sealed)
        return True
    return False


def test_the_check_of_a_key_does_not_import_the_library() -> None:
    sealed = seal(Keyring((b"1" * KEY_BYTES,)).box(), "made-up-token")
    check = f"crypto.check_sealed(crypto.Keyring((b'1' * 32,)).box(), {sealed!r})"
    program = f"import sys; from painchain.core import crypto; {check}; print('cryptography' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_encrypted_text_does_not_reveal_the_plain_text() -> None:
    box = Keyring((b"1" * KEY_BYTES,)).box()
    sealed = [seal(box, "made-up-token") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert "made-up-token" not in "".join(sealed)


@pytest.mark.parametrize("sealed", [None, "", "not sealed at all", "gAAAAA=="])
def test_a_wrong_key_or_damaged_text_is_refused_with_advice(sealed: str | None) -> None:
    right, wrong = (Keyring((key_byte * KEY_BYTES,)).box() for key_byte in (b"1", b"2"))
    for read in (open_sealed, check_sealed):
        with pytest.raises(KeyUnusable, match=r"put the right secret\.key back") as refused:
            read(wrong, seal(right, "made-up-token") if sealed is None else sealed)
        assert "made-up-token" not in str(refused.value)

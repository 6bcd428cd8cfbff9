"""Secrets: tokens, encrypted values, keyed digests, the master key file, and passwords."""

import os
import platform
import re
import string
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from math import log2
from threading import Barrier, BrokenBarrierError, Lock

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from refunds.errors import ConfigurationError, Crowded, Unauthenticated
from refunds.security import passwords
from refunds.security.encryption import (
    CustomerCipher,
    Tampered,
    associated_data,
    decrypt,
    encrypt,
    keyed_digest,
    new_key,
)
from refunds.security.master_key import create_master_key, is_private, read_master_keys
from refunds.security.passwords import new_password, password_fits, password_hash
from refunds.security.tokens import new_token, read_token
from refunds.service.clients import authenticate
from tests.conftest import ROOT

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
HERE = associated_data("orders", "customer_ref", "A-1001")

# Tokens.


class NeverRead:
    """A unit of work that fails the test when it is used."""

    def read(self, _):
        """Fail: the token should have been refused before."""
        pytest.fail("it was looked up")


def with_checksum(body):
    """A body with its checksum, calculated independently."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return f"{body}_{digits}"


def test_a_token_is_its_prefix_an_id_a_secret_and_a_checksum():
    token = new_token()
    found = re.fullmatch(r"rfd_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})", token.text)
    assert found
    assert token.token_id == found[1]
    assert token.secret_digest == sha256(found[2].encode()).digest()
    assert token.text == with_checksum(f"rfd_{found[1]}_{found[2]}")


def test_200_tokens_are_read_back_and_all_differ():
    tokens = [new_token() for _ in range(200)]
    assert [read_token(token.text) for token in tokens] == tokens
    for part in zip(*tokens, strict=True):
        assert len(set(part)) == 200


def test_every_change_of_one_character_is_refused_without_a_look_up():
    text = new_token().text
    changed = {
        text[:i] + other + text[i + 1 :] for i in range(len(text)) for other in BASE62 + "_-. \x00é" if other != text[i]
    }
    assert len(changed) > 60 * len(text)
    assert not [other for other in changed if read_token(other) is not None]
    for other in sorted(changed)[::50]:
        with pytest.raises(Unauthenticated):
            authenticate(NeverRead(), other)


def test_every_swap_of_two_neighbouring_characters_is_refused():
    text = new_token().text
    swapped = [text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(len(text) - 1)]
    assert not [other for other in swapped if other != text and read_token(other) is not None]


GOOD = with_checksum(f"rfd_{'a' * 8}_{'b' * 43}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rfd",
        "_" * 3,
        "rfd___",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "_",
        "_" + GOOD,
        GOOD + "\n",
        " " + GOOD,
        GOOD.upper(),
        GOOD.swapcase(),
        GOOD * 2,
        GOOD.replace("_", "-"),
        with_checksum(f"rfe_{'a' * 8}_{'b' * 43}"),
        with_checksum(f"rfd_{'a' * 7}_{'b' * 43}"),
        with_checksum(f"rfd_{'a' * 9}_{'b' * 43}"),
        with_checksum(f"rfd_{'a' * 8}_{'b' * 42}"),
        with_checksum(f"rfd_{'a' * 8}_{'b' * 44}"),
        with_checksum(f"rfd_{'a' * 9}_{'b' * 42}"),
        with_checksum(f"rfd_{'a' * 8}_{'b' * 42}é"),
        with_checksum(f"rfd_{'a' * 8}_{'b' * 42}𝟡"),
        with_checksum(f"rfd_{'а' * 8}_{'b' * 43}"),
        f"rfd_{'a' * 8}_{'b' * 42}\ud800_aaaaaa",
        "rfd_" + "é" * 60,
        "_" * 100_000,
    ],
)
def test_a_malformed_token_is_refused_without_a_look_up(text):
    assert read_token(text) is None
    with pytest.raises(Unauthenticated):
        authenticate(NeverRead(), text)


@given(st.text())
def test_no_text_makes_reading_a_token_fail(text):
    assert read_token(text) is None


def test_a_valid_token_with_this_checksum_is_read():
    assert read_token(GOOD).token_id == "a" * 8


# Encrypted values.


@given(st.binary(max_size=200))
def test_an_encrypted_value_is_decrypted_in_its_place(value):
    encrypted = encrypt(KEY, value, HERE)
    assert encrypted[0] == 1
    assert len(encrypted) == 1 + 12 + len(value) + 16
    assert decrypt(KEY, encrypted, HERE) == value


def test_the_same_value_is_never_encrypted_the_same_way_twice():
    encrypted = {encrypt(KEY, b"K-20391", HERE) for _ in range(100)}
    assert len(encrypted) == len({value[1:13] for value in encrypted}) == 100
    assert not any(b"K-20391" in value for value in encrypted)


@pytest.mark.parametrize(
    "there",
    [
        associated_data("contacts", "customer_ref", "A-1001"),
        associated_data("orders", "correction_reason", "A-1001"),
        associated_data("orders", "customer_ref", "A-1002"),
        associated_data("orders", "customer_ref", ""),
        HERE.replace(b"1|", b"2|", 1),
        b"",
    ],
)
def test_an_encrypted_value_cannot_be_decrypted_in_another_place(there):
    with pytest.raises(Tampered):
        decrypt(KEY, encrypt(KEY, b"K-20391", HERE), there)


def test_an_encrypted_value_cannot_be_decrypted_with_another_key():
    for key in (OTHER_KEY, bytes(32), new_key()):
        with pytest.raises(Tampered):
            decrypt(key, encrypt(KEY, b"K-20391", HERE), HERE)


def test_every_flipped_bit_is_detected():
    encrypted = encrypt(KEY, b"K-20391", HERE)
    for i in range(len(encrypted)):
        for bit in range(8):
            changed = encrypted[:i] + bytes([encrypted[i] ^ 1 << bit]) + encrypted[i + 1 :]
            with pytest.raises(Tampered):
                decrypt(KEY, changed, HERE)


def test_every_missing_and_every_additional_byte_is_detected():
    encrypted = encrypt(KEY, b"K-20391", HERE)
    for changed in (
        *(encrypted[:length] for length in range(len(encrypted))),
        encrypted + b"\0",
        b"\1" + encrypted,
        encrypted[1:],
    ):
        with pytest.raises(Tampered):
            decrypt(KEY, changed, HERE)


@pytest.mark.parametrize("form", [0, 2, 255])
def test_another_format_is_refused(form):
    with pytest.raises(Tampered, match=r"^not an encrypted value: 1\|orders\|customer_ref\|A-1001$"):
        decrypt(KEY, bytes([form]) + encrypt(KEY, b"K-20391", HERE)[1:], HERE)


def test_the_error_names_the_place_and_no_secret():
    with pytest.raises(Tampered) as tampered:
        decrypt(OTHER_KEY, encrypt(KEY, b"K-20391", HERE), HERE)
    assert str(tampered.value) == "cannot be decrypted: 1|orders|customer_ref|A-1001"
    assert tampered.value.__cause__ is None


def test_a_cipher_decrypts_its_own_values_and_keeps_none_as_none():
    cipher, there = CustomerCipher(new_key()), ("contacts", "note", "con_1")
    assert cipher.decrypt(cipher.encrypt("späte Anfrage 📞", *there), *there) == "späte Anfrage 📞"
    assert cipher.encrypt(None, *there) is None
    assert cipher.decrypt(None, *there) is None
    assert CustomerCipher(None).decrypt(cipher.encrypt("note", *there), *there) is None
    with pytest.raises(Tampered):
        CustomerCipher(new_key()).decrypt(cipher.encrypt("note", *there), *there)


# Keyed digests.

LISTS = [
    (),
    (b"",),
    (b"", b""),
    (b"abc",),
    (b"ab", b"c"),
    (b"a", b"bc"),
    (b"a", b"b", b"c"),
    (b"abc", b""),
    (b"", b"abc"),
    (b"c", b"ab"),
    (b"\0\0\0\0\0\0\0\1a",),
    (b"a\0\0\0\0\0\0\0\1a",),
    (b"a", b"a"),
]


def test_different_lists_of_parts_have_different_digests():
    assert len({keyed_digest(KEY, *parts) for parts in LISTS}) == len(LISTS)


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.binary(max_size=20), max_size=4))
def test_digests_are_equal_if_and_only_if_the_lists_are(some, others):
    assert (keyed_digest(KEY, *some) == keyed_digest(KEY, *others)) == (some == others)


def test_a_digest_depends_on_its_key():
    assert keyed_digest(KEY, b"K-20391") != keyed_digest(OTHER_KEY, b"K-20391")
    assert len(keyed_digest(KEY, b"K-20391")) == 32


# The master key file.

CREATE = """
import sys
from hashlib import sha256
from pathlib import Path
from refunds.security.master_key import create_master_key, read_master_keys
print("ready", flush=True)
sys.stdin.readline()
create_master_key(Path(sys.argv[1]))
print(sha256(read_master_keys(Path(sys.argv[1]))[0]).hexdigest())
"""


@contextmanager
def umask(mask):
    """Create files with this umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def path(tmp_path):
    """The path of a master key."""
    return tmp_path / "keys" / "master.key"


def write_key(path, content, mode=0o600):
    """Write a file with this content and mode."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_a_new_master_key(path, mask):
    with umask(mask):
        create_master_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", path.read_text())
    assert len(read_master_keys(path)[0]) == 32
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_an_existing_master_key_is_never_replaced(path):
    create_master_key(path)
    before = path.read_bytes()
    create_master_key(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_processes_that_create_a_master_key_at_once_agree(path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = {process.communicate(timeout=60)[0] for process in processes}
    assert outputs == {sha256(read_master_keys(path)[0]).hexdigest() + "\n"}
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


@pytest.mark.parametrize("content", [KEY.hex(), KEY.hex().upper(), f"{KEY.hex()}\n", f"\n {KEY.hex()} \r\n"])
def test_a_master_key_is_64_hexadecimal_digits(path, content):
    write_key(path, content.encode())
    assert read_master_keys(path) == (KEY,)


def test_the_file_holds_several_keys_in_the_order_of_its_lines(path):
    write_key(path, f"{OTHER_KEY.hex()}\n {KEY.hex()}\r\n".encode())
    assert read_master_keys(path) == (OTHER_KEY, KEY)


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o606, 0o644, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_master_key_that_others_can_read_or_change_is_refused(path, mode):
    write_key(path, KEY.hex().encode(), mode)
    assert_refused(path, f"others can read {path}: chmod {640 if os.getuid() == 0 else 600} {path}")


ROOT_USER, ANOTHER = 0, 1000


@pytest.mark.parametrize(("mode", "others_own_it"), [(0o600, True), (0o400, True), (0o640, False), (0o440, False)])
def test_the_group_may_read_a_master_key_only_if_it_is_roots(mode, others_own_it):
    assert is_private(mode, ROOT_USER)
    assert is_private(mode, ANOTHER) is others_own_it


@pytest.mark.parametrize("mode", [0o660, 0o650, 0o644, 0o642, 0o641, 0o444, 0o604])
def test_no_group_may_change_a_master_key_and_the_world_may_do_nothing(mode):
    assert not is_private(mode, ROOT_USER)
    assert not is_private(mode, ANOTHER)


@pytest.mark.parametrize("mode", [0o400, 0o444])
def test_a_master_key_is_read_through_the_links_of_a_mounted_secret(path, mode):
    """Kubernetes links the file to one in `..data`, and that to a directory; the mode of the file itself counts."""
    version = path.parent / "..2026_11_29"
    version.mkdir(parents=True)
    write_key(version / "master.key", KEY.hex().encode(), mode)
    (path.parent / "..data").symlink_to(version.name)
    path.symlink_to("..data/master.key")
    if mode == 0o400:
        assert read_master_keys(path) == (KEY,)
    else:
        assert_refused(path, f"others can read {path}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not hold 32 bytes in hexadecimal digits"),
        (b"\n", "does not hold 32 bytes"),
        (KEY.hex()[:-2].encode(), "does not hold 32 bytes"),
        (KEY.hex()[:-1].encode(), "does not hold 32 bytes"),
        (KEY.hex().encode() + b"00", "does not hold 32 bytes"),
        (b"g" * 64, "does not hold 32 bytes"),
        (b"0x" + KEY.hex().encode()[2:], "does not hold 32 bytes"),
        (KEY, "does not hold 32 bytes"),
        (bytes([255]) + KEY[1:], "cannot be read as text"),
        ("𝟘".encode() * 64, "cannot be read as text"),
        (b"\xef\xbb\xbf" + KEY.hex().encode(), "cannot be read as text"),
        (f"{KEY.hex()}\n\n{OTHER_KEY.hex()}".encode(), "in hexadecimal digits in line 2"),
        (f"{KEY.hex()}\n{OTHER_KEY.hex()}\n{KEY.hex()[1:]}".encode(), "in hexadecimal digits in line 3"),
        (f"{KEY.hex()} {OTHER_KEY.hex()}".encode(), "in hexadecimal digits in line 1"),
        (f"{KEY.hex()}\n{OTHER_KEY.hex()}\n{KEY.hex().upper()}".encode(), "in line 1 and line 3: delete line 3"),
    ],
)
def test_a_malformed_master_key_is_refused(path, content, message):
    write_key(path, content)
    assert_refused(path, message)


def test_a_missing_master_key_is_refused_and_not_created(path):
    assert_refused(path, f"{path} does not exist. Bring back the file")
    assert not path.parent.exists()


def test_a_directory_is_refused_as_a_master_key(path):
    path.mkdir(parents=True, mode=0o700)
    assert_refused(path, f"{path}: Is a directory")


def assert_refused(path, message):
    """Assert that the key is refused with this message, which does not repeat the content of the file."""
    with pytest.raises(ConfigurationError) as error:
        read_master_keys(path)
    assert str(error.value).startswith("REFUNDS_MASTER_KEY_FILE: ")
    assert message in str(error.value)
    assert KEY.hex()[:16] not in str(error.value).lower()
    assert error.value.exit_code == 4


# Passwords.

CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without 0 and o, and without 1 and l."""


GENUINE = passwords._passwords


@pytest.fixture(autouse=True)
def _genuine(monkeypatch):
    """Use the real password hash in these tests."""
    monkeypatch.setattr(passwords, "_passwords", GENUINE)


@pytest.fixture
def cheap(monkeypatch):
    """Use a cheap password hash."""
    monkeypatch.setattr(passwords, "_passwords", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_a_password_has_100_random_bits_in_unambiguous_characters():
    assert len(set(CHARACTERS)) ** 20 == 2**100
    made = [new_password() for _ in range(500)]
    assert len(set(made)) == 500
    for password in made:
        assert re.fullmatch(f"[{CHARACTERS}]{{5}}(-[{CHARACTERS}]{{5}}){{3}}", password)
    assert set("".join(made)) == {*CHARACTERS, "-"}


def test_every_character_of_a_password_is_random():
    """None depends on its position or on its neighbour."""
    made = [new_password().replace("-", "") for _ in range(2_000)]
    for column in zip(*made, strict=True):
        share = [column.count(character) / len(column) for character in CHARACTERS]
        assert -sum(part * log2(part) for part in share if part) > 4.9
    assert len({password[i : i + 2] for password in made for i in range(19)}) == 32**2


def test_the_hash_of_a_password_is_slow_and_salted():
    password = new_password()
    some, other = password_hash(password), password_hash(password)
    assert some != other
    assert password not in some
    found = extract_parameters(some)
    assert (found.type, found.time_cost, found.memory_cost, found.parallelism) == (Type.ID, 2, 19 * 1024, 1)
    assert (found.salt_len, found.hash_len) == (16, 32)
    assert password_fits(password, some)
    assert password_fits(password, other)


@pytest.mark.parametrize(
    "password", ["k7qfm-3xw9p-a2rtz-8hnce", "", " ", "\0", "a\0b", "späte Öffnung 🔑", "x" * 10_000]
)
def test_only_the_password_itself_fits_its_hash(cheap, password):
    stored = password_hash(password)
    assert password_fits(password, stored)
    for other in (password + " ", " " + password, password + "\0", password[:-1] or "y", password.swapcase() + "y"):
        assert not password_fits(other, stored)
    assert not password_fits(stored, stored)
    assert not password_fits(password, None)


@pytest.mark.parametrize("password", ["\ud800", "k7qfm-3xw9p-a2rtz-8hnce\udcff"])
def test_a_text_that_cannot_be_encoded_fits_no_hash(cheap, password):
    """A program can send such a text in JSON."""
    assert not password_fits(password, password_hash("k7qfm-3xw9p-a2rtz-8hnce"))
    assert not password_fits(password, None)


GARBAGE = [
    "",
    "k7qfm-3xw9p-a2rtz-8hnce",
    "\0",
    "$argon2id$",
    "$argon2id$ä",
    "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA",
    f"$argon2id$v=19$m=4294967295,t=2,p=1${'A' * 22}${'A' * 43}",
    f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}",
    f"$argon2x$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}",
]


@pytest.mark.parametrize("stored", GARBAGE)
def test_no_password_fits_a_malformed_hash(cheap, stored):
    for password in ("k7qfm-3xw9p-a2rtz-8hnce", "", stored):
        assert not password_fits(password, stored)


def test_no_password_fits_a_truncated_hash(cheap):
    stored = password_hash("a password")
    assert not [length for length in range(len(stored)) if password_fits("a password", stored[:length])]


class Watched(PasswordHasher):
    """Remembers the hashes that passwords are compared with."""

    def __init__(self, **cost):
        super().__init__(**cost)
        self.tried = []

    def hash(self, _):
        """Fail: hashing is slow."""
        pytest.fail("something was hashed")

    def verify(self, stored, password):
        """Whether a password fits."""
        self.tried.append(stored)
        return super().verify(stored, password)


def test_a_password_without_a_stored_hash_is_checked_at_the_same_cost(monkeypatch):
    stored = password_hash("a password")
    watched = Watched(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    monkeypatch.setattr(passwords, "_passwords", lambda: watched)
    assert not password_fits("another", None)
    assert not password_fits("another", stored)
    without_user, with_user = watched.tried
    assert extract_parameters(without_user) == extract_parameters(with_user)
    assert not watched.check_needs_rehash(without_user)


SETPRIORITY = {"x86_64": 141, "aarch64": 140}
"""The number of the system call by which a thread lowers its priority."""


class Timid(PasswordHasher):
    """Notes the priorities of the threads in which it hashes and checks: the lower, the higher the number."""

    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.seen = set()

    def hash(self, *given):
        """The hash of a password."""
        self.seen.add(os.getpriority(os.PRIO_PROCESS, 0))
        return super().hash(*given)

    def verify(self, *given):
        """Whether a password fits."""
        self.seen.add(os.getpriority(os.PRIO_PROCESS, 0))
        return super().verify(*given)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, a thread has the priority of its process")
def test_hashing_yields_the_processors_to_short_answers(monkeypatch):
    own, timid = os.getpriority(os.PRIO_PROCESS, 0), Timid()
    monkeypatch.setattr(passwords, "_passwords", lambda: timid)
    assert password_fits("a password", password_hash("a password"))
    assert min(timid.seen) == min(own + 10, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


FORBIDDEN = """
import ctypes, errno, os, struct
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, {number}), (0x06, 0, 0, 0x50000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)]
packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(packed)))
prctl = ctypes.CDLL(None).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, program, 0, 0) == 0  # no new privileges; a filter of system calls
try:
    os.nice(1)
except PermissionError:
    from refunds.security.passwords import password_fits, password_hash
    print(password_fits("a password", password_hash("a password")))
"""


@pytest.mark.skipif(platform.machine() not in SETPRIORITY or sys.platform != "linux", reason="filters are of Linux")
def test_passwords_are_hashed_where_a_sandbox_forbids_to_lower_the_priority():
    """As systemd does with `SystemCallFilter=~@resources`."""
    code = FORBIDDEN.format(number=SETPRIORITY[platform.machine()])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


class Slow(PasswordHasher):
    """Counts how many passwords are hashed or checked at the same time, and waits for one more to come."""

    def __init__(self, most):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.together, self.lock, self.now, self.most = Barrier(most + 1), Lock(), 0, 0

    def _one_more(self, method, *given):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self.together.wait(0.1)
        except BrokenBarrierError:
            pass
        finally:
            with self.lock:
                self.now -= 1
        return method(*given)

    def hash(self, password):
        """The hash of a password."""
        return self._one_more(super().hash, password)

    def verify(self, stored, password):
        """Whether a password fits."""
        return self._one_more(super().verify, stored, password)


def test_at_most_two_passwords_are_hashed_or_checked_at_a_time(cheap, monkeypatch):
    """Each takes 19 MiB, and anyone can cause it."""
    stored = password_hash("a password")
    slow = Slow(2)
    monkeypatch.setattr(passwords, "_passwords", lambda: slow)
    with ThreadPoolExecutor(12) as pool:
        hashed = [pool.submit(password_hash, "a password") for _ in range(4)]
        tried = [pool.submit(password_fits, password, stored) for password in ("a password", "another") * 4]
    assert all(password_fits("a password", done.result()) for done in hashed)
    assert [done.result() for done in tried] == [True, False] * 4
    assert slow.most == 2


def test_a_ninth_waiter_for_a_password_check_is_refused():
    """So that waiting requests do not occupy the server's threads."""
    for _ in range(8):
        passwords._trying.acquire()
    try:
        with pytest.raises(Crowded):
            passwords.password_fits("x", None)
    finally:
        for _ in range(8):
            passwords._trying.release()
    assert passwords.password_fits("x", passwords.password_hash("x"))

"""OpenSSL is told of the processor before it is loaded, and only where that is known to help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postlane.core.processor import VARIABLE, WITHOUT_ADX, choose_arithmetic

ZEN_3 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nflags\t\t: fpu avx2 adx\n"


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A description of a Zen 3; nothing is chosen yet, and what is chosen ends with the test."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    path = tmp_path / "cpuinfo"
    path.write_text(ZEN_3)
    return path


def test_on_a_zen_3_openssl_does_without_adx(described: Path) -> None:
    choose_arithmetic(described)

    assert os.environ[VARIABLE] == WITHOUT_ADX


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ("AuthenticAMD", "GenuineIntel"),
        ("family\t: 25", "family\t: 23"),
        ("family\t: 25", "family\t: 26"),
        (" adx", " adx avx512ifma"),
        (" avx2", ""),
        (ZEN_3, ""),
    ],
)
def test_on_any_other_processor_nothing_is_chosen(described: Path, ours: str, other: str) -> None:
    described.write_text(ZEN_3.replace(ours, other))

    choose_arithmetic(described)

    assert VARIABLE not in os.environ


def test_what_an_operator_has_chosen_stays(
    described: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0x1")

    choose_arithmetic(described)

    assert os.environ[VARIABLE] == "0x1"


def test_without_a_description_nothing_is_chosen(described: Path) -> None:
    described.write_bytes(b"\xff\xfe")
    choose_arithmetic(described)
    choose_arithmetic(described.with_name("none"))

    assert VARIABLE not in os.environ


def test_programs_choose_before_anything_loads_what_signs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    program = (
        "import os, sys, postlane.server.cli as cli\n"
        "loaded = 'cryptography.hazmat.bindings._rust' in sys.modules\n"
        f"cli.run = lambda given: print(loaded, os.environ.get({VARIABLE!r}))\n"
        "cli.main([])"
    )

    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    choose_arithmetic()

    assert found.stdout.split() == ["False", str(os.environ.get(VARIABLE))]


def test_signatures_are_right_either_way() -> None:
    """Made as OpenSSL is told to, and read by a process that it tells nothing."""
    program = (
        "from cryptography.hazmat.primitives import hashes, serialization as s\n"
        "from cryptography.hazmat.primitives.asymmetric import padding, rsa\n"
        "key = rsa.generate_private_key(public_exponent=65537, key_size=2048)\n"
        "public = key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.PKCS1)\n"
        "print(public.hex(), key.sign(b'mail', padding.PKCS1v15(), hashes.SHA256()).hex())"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, VARIABLE: WITHOUT_ADX},
    )
    public, signature = map(bytes.fromhex, made.stdout.split())

    verify = (
        "import sys; from cryptography.hazmat.primitives import hashes, serialization as s\n"
        "from cryptography.hazmat.primitives.asymmetric import padding\n"
        "key = s.load_der_public_key(bytes.fromhex(sys.argv[1]))\n"
        "key.verify(bytes.fromhex(sys.argv[2]), b'mail', padding.PKCS1v15(), hashes.SHA256())"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    subprocess.run(
        [sys.executable, "-c", verify, public.hex(), signature.hex()], check=True, env=environment
    )

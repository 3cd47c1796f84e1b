"""What OpenSSL is told of the processor, before the one that signs is loaded."""

import os
import re
from pathlib import Path

VARIABLE = "OPENSSL_ia32cap"
"""What OpenSSL reads as it is loaded. Source: its manual page OPENSSL_ia32cap(3)."""
WITHOUT_ADX = ":~0x80000"
"""As if the processor had no ADX, which is bit 19 of the second word: EBX of CPUID's leaf 7."""
ZEN_3 = ("AuthenticAMD", "25")
"""Vendor and family, of which the later ones have AVX-512."""

_FIELD = re.compile(r"^(vendor_id|cpu family|flags)[ \t]*:[ \t]*(.*)$", re.MULTILINE)


def choose_arithmetic(described: Path = Path("/proc/cpuinfo")) -> None:
    """Have this process, and those it starts, sign with RSA the way that is faster here.

    OpenSSL multiplies with ADX where there is ADX and no AVX-512. On AMD's Zen 3 its AVX2 takes
    0.64 ms for a signature of 2048 bits and ADX 0.78 ms, and each message has one. What is set
    already is left. It must be called before `cryptography` loads the OpenSSL that it brings.
    """
    if VARIABLE in os.environ:
        return
    try:
        found = dict(_FIELD.findall(described.read_text()))
    except (OSError, UnicodeDecodeError):
        return
    flags = found.get("flags", "").split()
    is_zen_3 = (found.get("vendor_id"), found.get("cpu family")) == ZEN_3
    if is_zen_3 and "avx2" in flags and "avx512ifma" not in flags:
        os.environ[VARIABLE] = WITHOUT_ADX

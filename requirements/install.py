"""Makes `.venv` what the lock says, and does nothing when it is so already.

Run by `make` with any Python from 3.11 on; needs nothing but its standard library.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMP = VENV / ".installed"
LOCK = ROOT / "requirements" / "dev.txt"
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "--quiet")


def main() -> int:
    """Install what is missing; return the exit code."""
    # Two `make` at the same time take turns, and the second finds everything done.
    with (ROOT / ".install.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        wanted = fingerprint()
        if STAMP.is_file() and STAMP.read_text("ascii") == wanted and works(BIN / "python"):
            return 0
        STAMP.unlink(missing_ok=True)
        try:
            make_environment()
            print("Installing the locked requirements into .venv ...", flush=True)
            # The lock names everything. Resolved again, a requirement with extras
            # (`pydantic[email]`) makes older pips look for its newest release, which has no
            # hash here: the installation would break on the day of that release.
            pip("install", "--no-deps", "--require-hashes", "-r", str(LOCK))
            pip("check")
            pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        except subprocess.CalledProcessError:
            print("\nThe installation stopped; the lines above say why. `make` goes on from here.")
            return 1
        STAMP.write_text(wanted, "ascii")
    return 0


def fingerprint() -> str:
    """Return what the environment depends on, as one line."""
    files = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes())
    return f"{files.hexdigest()} {ROOT} {sys.version_info[0]}.{sys.version_info[1]}"


def works(python: Path) -> bool:
    """Say whether *python* starts and is the version that this script runs on."""
    if not python.exists():
        return False
    question = f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    return subprocess.run([python, "-c", question], stderr=subprocess.DEVNULL).returncode == 0


def make_environment() -> None:
    """Make `.venv` unless a working one is there."""
    if works(BIN / "python"):
        return
    if not has_venv():
        get_venv()
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)


def has_venv() -> bool:
    """Say whether this Python can make environments; Debian ships that part separately."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


def get_venv() -> None:
    """Install the package that Debian keeps `venv` in, or say how to."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if not (os.geteuid() == 0 and shutil.which("apt-get")):
        sys.exit(
            f"This Python cannot make environments. Install {package}, on Debian and Ubuntu\n"
            f"with `sudo apt-get install {package}`, and run make again."
        )
    print(f"Installing {package} ...", flush=True)
    calm = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
    subprocess.run([*quiet, "update"], check=True, env=calm, stdin=subprocess.DEVNULL)
    subprocess.run(
        [*quiet, "install", "-y", "--no-install-recommends", package],
        check=True,
        env=calm,
        stdin=subprocess.DEVNULL,
    )


def pip(*arguments: str) -> None:
    """Run pip of the environment."""
    subprocess.run([BIN / "python", *PIP, *arguments], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())

"""What is built from what others made: locked by hash, listed, and looked up."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / "requirements" / "runtime.txt"
LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
HASH = "--hash=sha256:"


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_locked_package_has_hashes(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)

    unhashed = [entry for entry in entries if LOCKED.match(entry) and HASH not in entry]

    assert len(LOCKED.findall(text)) > 50
    assert unhashed == []
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.slow
def test_the_bill_of_materials_lists_what_is_locked(tmp_path: Path) -> None:
    target = tmp_path / "sbom.json"

    done = subprocess.run(
        ["make", "-s", "sbom", f"SBOM={target}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    bill = json.loads(target.read_text())
    listed = {(each["name"], each["version"]) for each in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    assert listed == set(LOCKED.findall(RUNTIME.read_text()))
    assert all(each["externalReferences"] for each in bill["components"])
    assert bill["metadata"]["component"]["name"] == "postlane"


class Advisories(BaseHTTPRequestHandler):
    """The database of advisories, in which one package has a hole."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        holes = []
        if asked["package"]["name"] == "holey":
            holes = [
                {
                    "id": "OSV-1",
                    "summary": "A hole.",
                    "affected": [
                        {
                            "package": {"name": "holey", "ecosystem": "PyPI"},
                            "ranges": [
                                {
                                    "type": "ECOSYSTEM",
                                    "events": [{"introduced": "0"}, {"fixed": "1.1"}],
                                }
                            ],
                        }
                    ],
                }
            ]
        body = json.dumps({"vulns": holes} if holes else {}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def advisories() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/query"
        server.shutdown()


def audit(lock: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, str(ROOT / "requirements" / "audit.py"), "--lock", str(lock)),
            *("--vulnerability-service", "osv", "--osv-url", url, *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("package", "code"), [("holey", 1), ("sound", 0)])
def test_a_known_hole_fails_the_audit(
    tmp_path: Path, advisories: str, package: str, code: int
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"{package}==1.0 --hash=sha256:{'0' * 64}\n")

    done = audit(lock, advisories)

    assert done.returncode == code, done.stderr
    assert ("holey 1.0: OSV-1; mended in 1.1" in done.stdout) is bool(code)


def test_a_database_that_cannot_be_reached_breaks_no_build(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"sound==1.0 --hash=sha256:{'0' * 64}\n")
    closed = "http://127.0.0.1:9/query"

    done, strict = audit(lock, closed), audit(lock, closed, "--strict")

    assert (done.returncode, strict.returncode) == (0, 1)
    assert "nothing was audited" in done.stdout

"""The file that `postlane backup` writes: a tar of known members with their checksums."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .faults import CommandFailed

FORMAT = 2
"""What is written; 1, which held the secret key in the clear, is read as well."""
MANIFEST = "manifest.json"
DUMP = "database.dump"
SECRET = "secret_key"
"""Of format 1."""
WRAPPED = "secret_keys.wrapped"
"""Encrypted with a passphrase; not there unless one was given."""
CHUNK_BYTES = 1 << 20
LARGEST_MANIFEST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds and where it comes from."""

    format: int
    postlane: str
    created_at: str
    postgresql: int
    migrations: Sequence[str]
    sha256: Mapping[str, str]
    secret_key: str = ""
    """Tells which it was, not what it is."""


def write(path: Path, manifest: Manifest, members: Mapping[str, Path]) -> None:
    """Write an archive that its owner alone may read; it appears whole or not at all.

    Raises:
        CommandFailed: the file exists, or cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            text = json.dumps(asdict(manifest), indent=2).encode()
            _add(tar, MANIFEST, io.BytesIO(text), len(text))
            for name, member in members.items():
                with member.open("rb") as source:
                    _add(tar, name, source, member.stat().st_size)
            tar.close()
            file.flush()
            os.fsync(file.fileno())
        # Not rename: that would replace a file that came into being meanwhile.
        os.link(partial, path)
    except FileExistsError as error:
        raise CommandFailed(f"{path} exists already. Choose another name.") from error
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[tuple[Manifest, Mapping[str, Path]]]:
    """Yield the manifest and the members of an archive, unpacked into *folder* and checked.

    Only members that the manifest names are unpacked, under the names that we give them.

    Raises:
        CommandFailed: it is no such archive, is cut short, or was changed.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            manifest = _read_manifest(tar)
            members = {name: _unpack(tar, name, folder, manifest) for name in manifest.sha256}
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(f"{path} is not a backup that can be read: {said}.") from error
    if DUMP not in members or (manifest.format == 1 and SECRET not in members):
        raise CommandFailed(f"{path} is not a whole backup: a part is missing.")
    yield manifest, members


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(
    tar: tarfile.TarFile, name: str, source: io.BufferedIOBase | io.BytesIO, size: int
) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    tar.addfile(info, source)


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    info = tar.getmember(MANIFEST)
    file = tar.extractfile(info)
    if file is None or info.size > LARGEST_MANIFEST_BYTES:
        raise ValueError("its manifest is not a file")
    manifest = Manifest(**json.loads(file.read()))
    if manifest.format not in (1, FORMAT):
        raise ValueError(f"it has format {manifest.format}, and this Postlane reads 1 and {FORMAT}")
    return manifest


def _unpack(tar: tarfile.TarFile, name: str, folder: Path, manifest: Manifest) -> Path:
    if name not in (DUMP, SECRET, WRAPPED):
        raise ValueError(f"it has an unknown part {name!r}")
    source = tar.extractfile(name)
    if source is None:
        raise ValueError(f"its part {name!r} is not a file")
    path = folder / name
    digest = hashlib.sha256()
    with source, path.open("xb") as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != manifest.sha256[name]:
        raise ValueError(f"its part {name!r} was changed or damaged")
    return path

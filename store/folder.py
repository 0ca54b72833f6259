"""The data folder has one owner: an OS lock on DIR/lock, and DIR/service.json to be found by.

Both files are locked by the owner, and locks die with their process, however that ends: so
service.json is believed only while it is locked, and to look at it disturbs no starting service.
SQLite's WAL needs memory shared on one machine: a network filesystem is refused.
Source: flock(2); https://www.sqlite.org/wal.html (section 1)
"""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from runtime.problems import FolderInUse, FolderUnusable

LOCK, SERVICE, RUN = "lock", "service.json", "run"
NETWORK = frozenset(
    {
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
        "webdav",
    }
)
MOUNT_S = 5.0  # `mount` on macOS only prints a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where the folder's service answers."""

    url: str
    pid: int
    version: str


class Owned:
    """A data folder that this process owns."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._opened = [lock]

    def announce(self, url: str, pid: int, version: str) -> None:
        """Write DIR/service.json, and hold it; call it once."""
        unfinished = self.path / f"{SERVICE}.unfinished"
        file = _make_private(unfinished)
        self._opened.append(file)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file, orjson.dumps(asdict(Service(url=url, pid=pid, version=version))))
        unfinished.replace(self.path / SERVICE)

    def release(self) -> None:
        """Stop owning the folder."""
        (self.path / SERVICE).unlink(missing_ok=True)
        while self._opened:
            os.close(self._opened.pop())


@contextmanager
def own(folder: Path) -> Iterator[Owned]:
    """Own the folder for the block; it is made where it is missing.

    Raises:
        FolderInUse: another service owns it; `url` says where that answers.
        FolderUnusable: it is no folder, read-only, or on a network filesystem.
    """
    lock = _open_lock(folder)
    try:
        _require_local(folder)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        service = find_service(folder)
        url = service.url if service else None
        raise FolderInUse(f"Another service uses {folder}.", url=url) from None
    except BaseException:
        os.close(lock)
        raise
    owned = Owned(folder, lock)
    try:
        yield owned
    finally:
        owned.release()


def find_service(folder: Path) -> Service | None:
    """Return the service that owns the folder now; None where none does, or it is not ready yet."""
    try:
        file = (folder / SERVICE).open("rb")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Service(**orjson.loads(file.read()))
        return None  # left by an owner that was killed


def run_folder(folder: Path) -> Path:
    """Return DIR/run, made where it is missing: what belongs to the processes of one service."""
    made = folder / RUN
    made.mkdir(mode=0o700, exist_ok=True)
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user reads: whole and on the disk, or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with os.fdopen(_make_private(unfinished), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _make_private(path: Path) -> int:
    path.unlink(missing_ok=True)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)


def _open_lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except (FileExistsError, NotADirectoryError):
        raise FolderUnusable(f"{folder} is no folder.") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FolderUnusable(f"There is no space left for {folder}.") from error
        raise FolderUnusable(f"{folder} cannot be written: {error.strerror}.") from error


def _require_local(folder: Path) -> None:
    kind = filesystem_of(folder.resolve(), _mounts())
    if kind in NETWORK:
        raise FolderUnusable(f"{folder} is on a network filesystem ({kind}); use a local disk.")


def _mounts() -> dict[str, str]:
    """Return the machine's mount points with their filesystems; nothing where that is not known."""
    if sys.platform == "darwin":
        table = subprocess.run(
            ["/sbin/mount"], capture_output=True, text=True, timeout=MOUNT_S, check=False
        )
        return mac_mounts(table.stdout)
    try:
        return linux_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))
    except OSError:
        return {}


def linux_mounts(table: str) -> dict[str, str]:
    """Read /proc/self/mountinfo: the fifth field, and the first after ` - `. A later line wins."""
    mounts = {}
    for line in table.splitlines():
        place, _, kind = line.partition(" - ")
        mounts[_unescaped(place.split(" ")[4])] = kind.split(" ")[0]
    return mounts


def mac_mounts(table: str) -> dict[str, str]:
    """Read the table of macOS: `//host/share on /Volumes/share (smbfs, nodev)`."""
    mounts = {}
    for line in table.splitlines():
        place, opened, kind = line.partition(" on ")[2].rpartition(" (")
        if opened:
            mounts[place] = kind.split(",")[0].rstrip(")")
    return mounts


def filesystem_of(path: Path, mounts: dict[str, str]) -> str | None:
    """Return the filesystem of the innermost mount that holds `path`."""
    for holder in (path, *path.parents):
        if (kind := mounts.get(str(holder))) is not None:
            return kind
    return None


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field

"""A data folder has one owner, can be found, and lies on a disk that SQLite can trust."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.problems import FolderInUse, FolderUnusable
from specs.requirements import requirement
from store.folder import (
    NETWORK,
    Service,
    filesystem_of,
    find_service,
    linux_mounts,
    mac_mounts,
    own,
    run_folder,
    write_private,
)

URL = "http://127.0.0.1:8787"
SERVICE = Service(url=URL, pid=1, version="1")
OWNER = """
import sys
from pathlib import Path
from store.folder import own
with own(Path(sys.argv[1])) as owned:
    owned.announce("http://127.0.0.1:8787", 1, "1")
    print("ready", flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parents[3]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@requirement("folder.one-owner")
def test_a_second_owner_is_told_where_the_first_answers(tmp_path: Path) -> None:
    with own(tmp_path) as owned:
        with pytest.raises(FolderInUse) as early, own(tmp_path):
            pass
        owned.announce(URL, 1, "1")
        with pytest.raises(FolderInUse) as late, own(tmp_path):
            pass

    assert (early.value.extensions, late.value.extensions) == ({"url": None}, {"url": URL})
    with own(tmp_path):
        pass


@requirement("folder.service-file", "folder.found-by-service-file")
def test_the_service_is_found_while_it_owns_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    assert find_service(folder) is None
    with own(folder) as owned:
        assert find_service(folder) is None
        owned.announce(URL, 1, "1")
        assert find_service(folder) == SERVICE
        assert (mode(folder), mode(folder / "service.json")) == (0o700, 0o600)
        assert (folder / "service.json").read_text() == (
            '{"url":"http://127.0.0.1:8787","pid":1,"version":"1"}'
        )
    assert find_service(folder) is None
    assert [path.name for path in folder.iterdir()] == ["lock"]


@requirement("folder.lock-dies-with-owner")
def test_the_folder_of_a_killed_owner_opens_again(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        assert find_service(tmp_path) == SERVICE
        with pytest.raises(FolderInUse), own(tmp_path):
            pass
        owner.kill()
        owner.wait(timeout=20)

    assert find_service(tmp_path) is None
    with own(tmp_path) as owned:
        owned.announce(URL, 1, "1")
        assert find_service(tmp_path) == SERVICE


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnusable, match="no folder"), own(tmp_path / "file"):
        pass
    with pytest.raises(FolderUnusable, match="no folder"), own(tmp_path / "file" / "data"):
        pass


@requirement("folder.read-only")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()  # as good as a read-only folder, and holds for root too
    with pytest.raises(FolderUnusable, match="cannot be written"), own(tmp_path):
        pass


@requirement("folder.network-refused")
def test_a_network_filesystem_is_known_by_its_mount() -> None:
    mounts = linux_mounts(
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "30 22 0:26 / /srv/a\\040b rw - nfs4 host:/share rw\n"
        "31 30 0:27 / /srv/a\\040b/disk rw - xfs /dev/vdb rw\n"
        "32 22 0:28 / /srv/c rw - ext4 /dev/vdc rw\n"
        "33 22 0:29 / /srv/c rw - fuse.sshfs host: rw\n"
    )
    kinds = [
        filesystem_of(Path(place), mounts)
        for place in ("/srv/a b/data", "/srv/a b/disk/data", "/srv/c", "/srv")
    ]

    assert kinds == ["nfs4", "xfs", "fuse.sshfs", "ext4"]
    assert [kind in NETWORK for kind in kinds] == [True, False, True, False]


@requirement("folder.network-refused")
def test_a_network_filesystem_is_known_on_macos() -> None:
    mounts = mac_mounts(
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//me@host/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by me)\n"
    )

    assert filesystem_of(Path("/Volumes/my share/data"), mounts) == "smbfs"
    assert filesystem_of(Path("/Users/me"), mounts) == "apfs"


def test_private_files_are_for_their_user_only(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        write_private(tmp_path / "token", "secret\n")
        write_private(tmp_path / "token", "newer\n")
        made = run_folder(tmp_path)
    finally:
        os.umask(previous)

    assert (tmp_path / "token").read_text() == "newer\n"
    assert (mode(tmp_path / "token"), mode(made)) == (0o600, 0o700)
    assert run_folder(tmp_path) == made

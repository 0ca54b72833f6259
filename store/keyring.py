"""Secrets at rest: sealed with a key that is in no database and in no backup.

DIR/keys (0600) is a line a key, the newest first: an id and 256 bits in base64. What is sealed
names its key, so that a rotation changes what is sealed next and opens what was sealed before. The
name of what a secret belongs to is authenticated too: moved to another row it does not open.
Source: NIST SP 800-38D, AES-GCM with random nonces of 96 bits.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.problems import Refused
from runtime.secret import Secret
from store.folder import write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE = "keys"
ID_BYTES, NONCE_BYTES, KEY_BITS = 4, 12, 256


class SealBroken(Refused):
    """A secret cannot be opened: its key is not here, or it was changed or moved."""

    title = "The secret must be given again"
    status = 409


class Keyring:
    """The keys of one data folder. A folder without a file gets one with the first secret."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._keys: dict[bytes, bytes] | None = None  # by id, the newest first

    def seal(self, secret: Secret, owner: str) -> bytes:
        """Return the secret as it may be stored.

        Args:
            owner: what it belongs to, such as `endpoint/NAME`.
        """
        if not self._known():
            self.rotate()
        key_id = next(iter(self._known()))
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher(key_id).encrypt(nonce, secret.reveal().encode(), owner.encode())
        return key_id + nonce + sealed

    def open(self, sealed: bytes, owner: str) -> Secret:
        """Return what was sealed for this owner.

        Raises:
            SealBroken: no key of this folder opens it for this owner.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  most services seal nothing

        key_id, rest = sealed[:ID_BYTES], sealed[ID_BYTES:]
        if key_id not in self._known():
            raise SealBroken("The key that it was sealed with is not in this data folder.")
        try:
            plain = self._cipher(key_id).decrypt(
                rest[:NONCE_BYTES], rest[NONCE_BYTES:], owner.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise SealBroken("It does not open: it was changed, or moved.") from error
        return Secret(plain.decode())

    def rotate(self) -> None:
        """Make a new key, which seals from now on; the older ones go on opening."""
        keys = {os.urandom(ID_BYTES): os.urandom(KEY_BITS // 8), **self._known()}
        lines = (
            f"{key_id.hex()} {base64.b64encode(key).decode()}\n" for key_id, key in keys.items()
        )
        write_private(self._file, "".join(lines))
        self._keys = keys

    def _known(self) -> dict[bytes, bytes]:
        if self._keys is None:
            lines = (
                self._file.read_text(encoding="ascii").split("\n") if self._file.exists() else []
            )
            pairs = (line.split(" ") for line in lines if line)
            self._keys = {bytes.fromhex(name): base64.b64decode(key) for name, key in pairs}
        return self._keys

    def _cipher(self, key_id: bytes) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  as above

        return AESGCM(self._known()[key_id])

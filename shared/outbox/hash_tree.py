"""Hash tree: one digest stands for several texts, and a short path shows that a text is one of them.

SHA-256 as in RFC 6962: the byte before the hashed text tells leaves from nodes, so neither is taken for the other.
A level with an odd number of digests is filled up with `PADDING`, the digest of nothing known.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

DIGEST_BYTES = 32
PADDING = bytes(DIGEST_BYTES)


def leaf(text: bytes) -> bytes:
    """Return the digest of a text."""
    return sha256(b"\x00" + text).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the digest of two digests."""
    return sha256(b"\x01" + left + right).digest()


class HashTree:
    """The tree over texts, in their order."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._levels: list[list[bytes]] = []
        level = [leaf(text) for text in texts]
        while len(level) > 1:
            if len(level) % 2:
                level.append(PADDING)
            self._levels.append(level)
            level = [node(*level[at : at + 2]) for at in range(0, len(level), 2)]
        (self.root,) = level

    def path(self, index: int) -> bytes:
        """Return the digests beside the way from a leaf to the root, from below, in one piece."""
        return b"".join([level[index >> height ^ 1] for height, level in enumerate(self._levels)])


def root_by(text: bytes, index: int, path: bytes) -> bytes:
    """Return the root of the tree with this text at `index`, given the leaf's path; any other text has another root."""
    digest = leaf(text)
    for start in range(0, len(path), DIGEST_BYTES):
        beside = path[start : start + DIGEST_BYTES]
        digest = node(beside, digest) if index & 1 else node(digest, beside)
        index >>= 1
    return digest

"""A folder of compiled kernels, and of which are fastest, that outlives the process.

Each file is named by what it was made from. The folder is `$TAPEGRAD_CACHE_DIR`, else `tapegrad` in
`$XDG_CACHE_HOME` or `~/.cache`. Whatever is in it can be made again, so a folder that cannot be
written or a damaged file costs time, not results: `read` then finds nothing and `write` keeps
nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

_DIGEST = hashlib.sha256().digest_size


def folder() -> Path:
    """Where compiled kernels are kept; it need not exist yet.

    >>> import os
    >>> os.environ["TAPEGRAD_CACHE_DIR"] = "/tmp/kernels"
    >>> str(folder())
    '/tmp/kernels'
    >>> del os.environ["TAPEGRAD_CACHE_DIR"]
    """
    chosen = os.environ.get("TAPEGRAD_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "tapegrad"


def key(*parts: object) -> str:
    """A name for what is made from `parts`: equal parts, equal names.

    >>> key("text", "sm_80") == key("text", "sm_80") != key("texts", "m_80")
    True
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def read(name: str) -> bytes | None:
    """The content written as `name`; None if there is none, or none that is whole."""
    try:
        stored = (folder() / name).read_bytes()
    except OSError:
        return None
    content = stored[_DIGEST:]
    return content if hashlib.sha256(content).digest() == stored[:_DIGEST] else None


def write(name: str, content: bytes) -> None:
    """Keep `content` as `name`, if the folder can be written.

    The file appears whole or not at all, also when two processes write it at once.
    """
    with contextlib.suppress(OSError):  # a cache that cannot be written is merely not used
        folder().mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder(), prefix=name)
        try:
            with open(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(temporary, folder() / name)
        except OSError:
            os.unlink(temporary)
            raise

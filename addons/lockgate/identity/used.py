"""Which assertions have been used: each at most once, whatever happens to the gateway in between.

One small file for each in a directory of the state: that it can be made, and by one process only, is what allows
the use. Files say until when they matter; nothing is ever read from them to allow anything.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from lockgate import state
from lockgate.errors import SetupError, StoreUnavailable, TokenRejected

KEPT = 24 * 3600.0  # seconds behind the end: a clock may be set back, and a leeway be made longer
SWEEP = 600.0  # seconds from one look for what has ended to the next


class UsedAssertions:
    """The store under `state_dir`. Every method blocks; any thread may call `use`."""

    def __init__(self, state_dir: Path) -> None:
        """Raises SetupError where there can be no such store."""
        self._directory = state_dir / "used-assertions"
        self._swept_at: float | None = None
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            state.require_private(self._directory.stat(), self._directory)
            state.sync_directory(state_dir)
        except OSError as error:
            raise SetupError(
                f"The store of used assertions {self._directory} cannot be used: {error.strerror}."
            ) from error

    def use(self, issuer: str, identifier: str, ends_at: float, now: float) -> None:
        """Note that an assertion is used, durably. `ends_at` and `now` are seconds since the epoch.

        Raises TokenRejected where it was used before, StoreUnavailable where that cannot be told or noted.
        """
        # A NUL, which XML cannot have, keeps the two apart.
        name = sha256(f"{issuer}\0{identifier}".encode()).hexdigest()
        try:
            state.require_private(self._directory.lstat(), self._directory)
            if self._swept_at is None or abs(now - self._swept_at) >= SWEEP:
                self._swept_at = now
                self._sweep(now)
            draft = state.write_draft(self._directory / name, f"{ends_at:.0f}".encode("ascii"))
            try:
                (self._directory / name).hardlink_to(draft)
            finally:
                draft.unlink()
            state.sync_directory(self._directory)
        except FileExistsError:
            raise TokenRejected("assertion was used before") from None
        except OSError as error:
            raise StoreUnavailable(f"{self._directory}: {error.strerror}") from error

    def _sweep(self, now: float) -> None:
        """Remove what has ended long ago, drafts of a process that was killed too. What cannot be read stays."""
        for path in self._directory.iterdir():
            with suppress(ValueError, FileNotFoundError):  # damaged, or another's draft that is done with
                content, _ = state.read(path)
                if float(content.decode("ascii")) + KEPT < now:
                    path.unlink(missing_ok=True)

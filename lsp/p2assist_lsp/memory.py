"""Everything that happened goes to the local store, redacted there, from a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from p2assist.errors import P2AssistError
from p2assist.experience import Experience

if TYPE_CHECKING:
    from p2assist.replay.store import Store

_log = logging.getLogger(__name__)


class Memory:
    """Writes in the order it is asked to, and never makes anybody wait. Where the store refuses,
    it says so once and completion goes on. open_store: called in the thread, once."""

    def __init__(self, open_store: Callable[[], Store], trouble: Callable[[str], None]) -> None:
        self._open, self._trouble = open_store, trouble
        self._store: Store | None = None
        self._told = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="p2assist-memory")

    def keep(self, experiences: Sequence[Experience]) -> None:
        """Stores them; what is known already gains the reports and feedback that are new."""
        self._later(lambda store: store.add(experiences))

    def event(self, key: str, kind: str, data: Mapping[str, Any]) -> None:
        """Appends an event to the experience of this key."""
        at = datetime.now(UTC)
        self._later(lambda store: store.append_event(key, kind, data, at))

    def flush(self) -> None:
        """Returns when everything is written."""
        self._thread.submit(lambda: None).result()

    def close(self) -> None:
        self._thread.submit(self._close)
        self._thread.shutdown(wait=True)

    def _later(self, write: Callable[[Store], object]) -> None:
        self._thread.submit(self._write, write)

    def _write(self, write: Callable[[Store], object]) -> None:
        try:
            if self._store is None:
                self._store = self._open()
            write(self._store)
        except P2AssistError as error:
            self._say(str(error))
        except Exception as error:  # a bug in keeping must not end completing
            _log.exception("keeping failed")
            self._say(f"keeping failed: {error!r}")

    def _say(self, words: str) -> None:
        if not self._told:
            self._told = True
            self._trouble(words)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()

"""What the editor says to its client, through pygls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

Progress = types.WorkDoneProgressBegin | types.WorkDoneProgressReport | types.WorkDoneProgressEnd


class Talk:
    """Implements editor.Client."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._tokens: set[str] = set()

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self._server.protocol.notify(method, dict(params))

    def show(self, words: str) -> None:
        params = types.ShowMessageParams(types.MessageType.Warning, words)
        self._server.window_show_message(params)

    def log(self, words: str) -> None:
        self._server.window_log_message(types.LogMessageParams(types.MessageType.Info, words))

    def progress(self, token: str, words: str, share: float | None) -> None:
        """words, share: what is being done, and how much of it, 0..1; None: it is over."""
        asked = self._server.client_capabilities.window
        if not (asked and asked.work_done_progress):
            return
        value: Progress
        percent = None if share is None else min(max(int(share * 100), 0), 100)
        if share is None:
            if token not in self._tokens:
                return
            self._tokens.discard(token)
            value = types.WorkDoneProgressEnd()
        elif token in self._tokens:
            value = types.WorkDoneProgressReport(message=words, percentage=percent)
        else:
            self._tokens.add(token)
            create = types.WorkDoneProgressCreateParams(token)
            self._server.window_work_done_progress_create(create)
            value = types.WorkDoneProgressBegin("p2assist", message=words, percentage=percent)
        self._server.protocol.notify(types.PROGRESS, types.ProgressParams(token, value))

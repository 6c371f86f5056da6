"""A real terminal (tmux) to type into, and pictures of it as SVG."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import time
import uuid
from collections.abc import Iterable
from html import escape
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import TerminalTheme

PATIENCE = 30.0  # seconds to wait for what must appear
DARK = TerminalTheme(
    (20, 22, 27),
    (224, 226, 234),
    [
        *[(7, 8, 13), (255, 192, 185), (179, 246, 192), (252, 224, 148)],
        *[(166, 219, 255), (255, 202, 255), (140, 248, 247), (238, 241, 248)],
    ],
)
# One frame of rich's export alone: its styles, backgrounds and text. No font is fetched.
FRAME = "{styles}\0{backgrounds}\0{matrix}\0{terminal_width}\0{terminal_height}"
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


class Terminal:
    """A tmux server of its own with one window in which a command runs."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        *,
        folder: Path,
        columns: int = 92,
        rows: int = 22,
    ) -> None:
        self.columns, self.rows = columns, rows
        self.name = f"p2assist-{uuid.uuid4().hex[:8]}"
        variables = {"TERM": "tmux-256color", "COLORTERM": "truecolor", **environment}
        shell = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        place = ["-x", str(columns), "-y", str(rows), "-c", str(folder)]
        line = f"env {shell} {shlex.join(command)}"
        self._tmux("-f", os.devnull, "new-session", "-d", *place, line)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self.name, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"tmux {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: "Escape", "M-l", "C-m"."""
        self._tmux("send-keys", *keys)

    def type(self, text: str, *, pace: float = 0.0) -> None:
        """Letters as they are. pace: seconds between two."""
        for letter in text if pace else [text]:
            self._tmux("send-keys", "-l", letter)
            time.sleep(pace)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def until(self, text: str) -> None:
        """Waits until the screen holds a text; fails after PATIENCE and shows the screen."""
        end = time.monotonic() + PATIENCE
        while text not in self.screen():
            if time.monotonic() > end:
                raise AssertionError(f"in vain: {text!r} on\n{self.screen()}")
            time.sleep(0.05)

    def capture(self) -> str:
        """The screen with its colours, as ANSI sequences."""
        return self._tmux("capture-pane", "-p", "-e")

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self.name, "kill-server"], capture_output=True, check=False)


def _frame(ansi: str, name: str, columns: int, rows: int) -> list[str]:
    lines = list(AnsiDecoder().decode(ansi))[:rows]
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop", crop=True)
    svg = console.export_svg(theme=DARK, code_format=FRAME, unique_id=name, font_aspect_ratio=0.61)
    return svg.split("\0")


def picture(captures: Iterable[str], *, columns: int, rows: int, title: str) -> str:
    """One capture as an SVG; several as one that plays them, each of the same length, for ever."""
    frames = [_frame(ansi, f"f{number}", columns, rows) for number, ansi in enumerate(captures)]
    width, height = (float(number) for number in frames[0][3:5])
    styles = [f"text{{font-family:{FONT};font-size:20px;white-space:pre}}"]
    groups = []
    for number, (style, backgrounds, matrix, *_) in enumerate(frames):
        styles.append(re.sub(r"\s+", " ", style))
        groups.append(f'<g class="frame" id="g{number}">{backgrounds}{matrix}</g>')
    if len(frames) > 1:
        styles.append(_playing(len(frames)))
    frame = f'<rect width="{width + 32:.0f}" height="{height + 32:.0f}" rx="8" fill="#14161b"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width + 32:.0f} {height + 32:.0f}"><title>{escape(title)}</title>'
        f"<style>{' '.join(styles)}</style>{frame}"
        f'<g transform="translate(16,16)">{"".join(groups)}</g></svg>\n'
    )


def _playing(frames: int, seconds: float = 1.6) -> str:
    share = 100 / frames
    rules = [
        f"@keyframes play{{0%,{share:.3f}%{{visibility:visible}}"
        f"{share + 0.001:.3f}%,100%{{visibility:hidden}}}}",
        f".frame{{visibility:hidden;animation:play {frames * seconds:.1f}s step-end infinite}}",
    ]
    rules += [f"#g{number}{{animation-delay:{number * seconds:.1f}s}}" for number in range(frames)]
    return " ".join(rules)


def keep(path: Path, svg: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg, encoding="utf-8")

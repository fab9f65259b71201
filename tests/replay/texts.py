"""What a person reads of an HTML page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_HIDDEN = {"script", "style", "template", "svg"}
_INLINE = {
    "a",
    "abbr",
    "b",
    "bdi",
    "code",
    "em",
    "i",
    "kbd",
    "mark",
    "q",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "u",
}
_READ = ("alt", "aria-label", "placeholder", "title")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        self._part(tag)
        for name, value in attrs:
            if name in _READ and value and not self._hidden:
                self.text += f"\n[{' '.join(value.split())}]\n"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN
        self._part(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += re.sub(r"\s+", " ", data)

    def _part(self, tag: str) -> None:
        if tag not in _INLINE:
            self.text += "\n"


def visible_text(html: str) -> str:
    """The text of a page, a line for each block, with what is read of pictures and fields in brackets."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in reader.text.splitlines())
    return "\n".join(line for line in lines if line)

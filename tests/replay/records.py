"""Records: what the application answered, as text in named sections, one file per area."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent / "record"
MARK = "=== "
TOLERANCE = 2e-3
"""Between scores: the two backends, and two processors, add float32 in different orders."""

_MONTHS = "Jan|Feb|March|April|May|June|July|Aug|Sept|Oct|Nov|Dec"
#: What differs from run to run, most specific first.
_RANDOM = [
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
    (rf"\b({_MONTHS})[a-z]*\.? \d{{1,2}}, \d{{4}}(, (\d{{1,2}}(:\d\d)? [ap]\.m\.|noon|midnight))?", "<time>"),
    (r"\d{4}年\d{1,2}月\d{1,2}日( ?\d{1,2}:\d\d)?", "<time>"),
    (r"\b\d{4}-\d\d-\d\d\b", "<date>"),
    (r"[0-9a-f]{2}/[0-9a-f]{64}(?=[-.])", "<file>"),
    (r"\b[0-9a-f]{16,}\b", "<hash>"),
    (r"cursor=[^&\"\s]+", "cursor=<cursor>"),
    (r"\b\d[\d,.]* s, \d[\d,.]* photos/s", "<seconds> s, <rate> photos/s"),
    (r"(127\.0\.0\.1|localhost):\d+", r"\1:<port>"),
    (r"for \d+(\.\d+)? (seconds?|minutes?)", "for <time>"),
    (r"\b\d+\xa0minutes? ago", "<time> ago"),
    (r"\b\d[\d,]* photos? a minute", "<rate> photos a minute"),
    (r"1分あたり写真[\d,]+枚", "1分あたり写真<rate>枚"),
    (r"takes about \d+ seconds?", "takes about <time>"),
    (r"(RateLimit: .*;t=)\d+", r"\1<seconds>"),
    (r"Retry-After: \d+", "Retry-After: <seconds>"),
    (r"Try again in \d+ s", "Try again in <time>"),
    (r"\b\d+ seconds?\b", "<time>"),
    (r"\d+秒", "<time>"),
]
_DECIMAL = re.compile(r"-?\d*\.\d{3,}(e-?\d+)?")
_LONG = re.compile(r"-?\d*\.\d{5,}(e-?\d+)?")


def normalised(text: str, names: Mapping[str, str]) -> str:
    """The text without what differs from run to run; `names` replace, for example, absolute paths."""
    for found, name in names.items():
        text = text.replace(found, name)
    for pattern, name in _RANDOM:
        text = re.sub(pattern, name, text)
    return _LONG.sub(lambda number: f"{float(number[0]):.4f}", text)


def write(path: Path, sections: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(f"{MARK}{title}\n{body}".rstrip() for title, body in sections.items())
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, str]:
    """The sections of a record by their titles; none where there is no record."""
    if not path.exists():
        return {}
    sections = re.split(rf"^{MARK}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = [section.partition("\n") for section in sections[1:]]
    return {title: body.rstrip() for title, _newline, body in parts}


def recorded(area: str, backend: str) -> dict[str, str]:
    """What a backend is to answer: the shared record, with the sections that differ on this backend."""
    shared, own = read(FOLDER / f"{area}.txt"), read(FOLDER / backend / f"{area}.txt")
    if unknown := own.keys() - shared.keys():
        raise ValueError(f"{backend}/{area}.txt has sections that {area}.txt has not: {sorted(unknown)}")
    return shared | own


def difference(expected: Mapping[str, str], got: Mapping[str, str]) -> str:
    """A diff of the sections that differ by more than the tolerance of scores; empty where none does."""
    found: list[str] = []
    for title in [*expected, *(title for title in got if title not in expected)]:
        before, after = expected.get(title, "").splitlines(), got.get(title, "").rstrip().splitlines()
        if len(before) == len(after):
            after = [old if _same(old, new) else new for old, new in zip(before, after, strict=True)]
        if before != after or (title in expected) != (title in got):
            lines = difflib.unified_diff(before, after, "recorded", "replayed", lineterm="", n=2)
            found += [f"{MARK}{title}", *list(lines)]
    return "\n".join(found)


def _same(old: str, new: str) -> bool:
    if old == new:
        return True
    if _DECIMAL.sub("#", old) != _DECIMAL.sub("#", new):
        return False
    numbers = zip(_DECIMAL.finditer(old), _DECIMAL.finditer(new), strict=True)
    return all(abs(float(one[0]) - float(other[0])) <= TOLERANCE for one, other in numbers)

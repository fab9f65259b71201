"""What a list of products can be narrowed by, and how many products each choice would leave."""

from __future__ import annotations

from dataclasses import dataclass

#: Choices of a facet that are shown at once; the others are behind a fold.
SHOWN = 8


@dataclass(frozen=True)
class Choice:
    """A value of a facet, with the number of products that it would leave."""

    value: str
    label: str
    count: int
    chosen: bool
    depth: int = 0
    #: "#rrggbb"
    swatch: str = ""


@dataclass(frozen=True)
class Facet:
    """One thing to narrow a list by: a parameter of addresses, and its choices."""

    name: str
    label: str
    choices: list[Choice]

    @property
    def offered(self) -> list[Choice]:
        """The choices worth showing: those that leave something, and those made, which one must be able to undo."""
        return [choice for choice in self.choices if choice.count or choice.chosen]

    @property
    def first(self) -> list[Choice]:
        return self.offered[:SHOWN]

    @property
    def rest(self) -> list[Choice]:
        return self.offered[SHOWN:]

    @property
    def unfolded(self) -> bool:
        """Whether the fold holds something that was chosen and must be seen."""
        return any(choice.chosen for choice in self.rest)

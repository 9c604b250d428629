"""What every job is, so that one runner, one table and one file serve them all."""

from typing import Protocol

from msgspec import Struct

from bench.measurement import Measurement, Target, Timing


class Goal(Struct, frozen=True):
    """A bound for one figure of a job: `rate`, `cpu_per_million` or one of its own."""

    figure: str
    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether `value` is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


class Job(Protocol):
    """A load with a name; it is sent to another process, so it holds nothing but settings."""

    @property
    def name(self) -> str:
        """The word that chooses it on the command line."""
        ...

    @property
    def unit(self) -> str:
        """What one operation is, in the plural."""
        ...

    @property
    def goal(self) -> Goal | None:
        """What is aimed at, if anything."""
        ...

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Load `target` and measure it; called in a process and on a core of its own."""
        ...

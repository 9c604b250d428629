"""Why a measurement could not be made; each with the exit code that the command line answers."""


class BenchError(Exception):
    """A measurement that did not come about; its text says what to do."""

    exit_code = 1


class StartError(BenchError):
    """A server did not start or did not say where it listens."""

    exit_code = 3


class WrongAnswerError(BenchError):
    """A server answered something else than its protocol promises, or closed the connection."""

    exit_code = 5


class BenchTimeoutError(BenchError):
    """An answer or an end did not come in the time allowed."""

    exit_code = 6


class UnfitMachineError(BenchError):
    """This machine, or this user on it, cannot measure that."""

    exit_code = 2

"""The load runs in a process of its own, on a core of its own, and ends in bounded time."""

import gc
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

from bench.failures import BenchError, TimedOut, WrongAnswer
from bench.jobs.job import Job
from bench.measurement import Measurement, Target, Timing

_SETUP_S = 60.0  # to open connections before and to check them after the measured time


def measure(job: Job, target: Target, timing: Timing, core: int) -> Measurement:
    """Run `job` against `target` in a new process on `core`.

    Raises BenchError as the job raised it, TimedOut when the process takes far too long.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, target, timing, core, sender), daemon=True)
    process.start()
    sender.close()
    try:
        allowed = timing.warmup + timing.seconds + _SETUP_S
        if not receiver.poll(allowed):
            raise TimedOut(f"{job.name} was not done within {allowed:g} s")
        outcome = receiver.recv()
    except EOFError:
        raise BenchError(f"the load of {job.name} died; its traceback is above") from None
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, BenchError):
        raise outcome
    assert isinstance(outcome, Measurement)
    return outcome


def _run(job: Job, target: Target, timing: Timing, core: int, result: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    os.sched_setaffinity(0, {core})
    gc.disable()  # a collection would look like a slow server
    try:
        result.send(job.run(target, timing))
    except BenchError as failure:
        result.send(failure)
    except OSError as fault:
        result.send(WrongAnswer(f"connection lost: {fault}"))

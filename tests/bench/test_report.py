"""Medians, ratios and the document: what is told follows from the runs."""

from pathlib import Path

import pytest

from bench.document.template import fill
from bench.jobs import CONTESTS
from bench.jobs.job import Goal
from bench.machine import Cores, Environment
from bench.measurement import Measurement, Timing
from bench.report import Report, Result, Subject, read, summarize, write
from bench.servers import CANDIDATES

TEMPLATE = Path(__file__).parents[2] / "bench" / "document" / "performance.md"


def run(cpu: float, rate: int = 1_000, **figures: float) -> Measurement:
    """Return a run of one second in which the server took `cpu` s for `rate` operations."""
    return Measurement(rate, 1.0, cpu, 0.5, 0.0, figures=figures)


def result(*runs: Measurement, job: str = "job", candidate: str = "chatd") -> Result:
    return summarize(job, candidate, "messages", Goal("cpu_per_million", 150, at_least=False), runs)


def report(*results: Result) -> Report:
    machine = Environment(2, Cores(0, 1), 1_024, "6.1", {"python": "3.11.7"})
    servers = [Subject(one.candidate, "1.0", [one.candidate], "") for one in results]
    return Report(machine, servers, Timing(0.1, 1.0), results)


def test_a_result_is_the_median_of_its_runs() -> None:
    one = result(run(0.1, 1_000), run(0.9, 3_000), run(0.4, 2_000))
    assert one.rate == 2_000
    assert one.cpu_per_million == 200
    assert one.spread == 1.0


def test_a_ratio_is_the_median_of_the_ratios_of_runs_made_in_turn() -> None:
    quiet_then_disturbed = result(run(0.1), run(0.4), run(0.1))
    twice_as_dear = result(run(0.2), run(0.8), run(0.3), candidate="other")
    assert twice_as_dear.cpu_ratio(quiet_then_disturbed) == pytest.approx(2.0)


def test_only_the_one_that_is_measured_has_goals() -> None:
    assert result(run(0.1)).goal_met is True
    assert result(run(0.2)).goal_met is False
    assert result(run(0.2), candidate="other").goal_met is None


def test_a_file_keeps_what_is_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write(report(result(run(0.1), job="old"), result(run(0.1), job="new")), file)
    both = report(result(run(0.2), job="new")).with_earlier(read(file))
    told = {one.job: one.cpu_per_million for one in both.results}
    assert told == {"old": 100, "new": 200}


def test_figures_are_put_into_the_text() -> None:
    measured = report(result(run(0.1, p50_us=7.0)), result(run(0.3), candidate="other"))
    text = "{{cpu job chatd}}, {{ratio job other chatd}}, {{figure job chatd p50_us}}"
    assert fill(text, measured, {}) == "100, 3.00, 7"


def test_what_was_not_measured_is_told_as_that() -> None:
    text = "{{cpu job other}}, {{ratio job chatd other}}"
    assert fill(text, report(result(run(0.1))), {}) == "not measured, not measured"


def test_a_table_has_candidates_down_and_jobs_across() -> None:
    measured = report(result(run(0.1)), result(run(0.3), candidate="other"))
    assert fill("{{cpu-table job}}", measured, {}).splitlines() == [
        "|  | job |",
        "| --- | --- |",
        "| chatd | 100 |",
        "| other | 300 (3.00 x) |",
    ]


def test_the_document_can_be_written_whatever_was_measured() -> None:
    names = ("compared", "members", "sizes", "latency", "exchanges")
    text = fill(TEMPLATE.read_text(), report(), {name: f"{name}.svg" for name in names})
    assert "{{" not in text


def test_every_contest_names_candidates_that_there_are() -> None:
    known = {one.name for one in CANDIDATES}
    assert {name for contest in CONTESTS for name in contest.candidates} == known


def test_no_job_is_listed_twice() -> None:
    names = [contest.job.name for contest in CONTESTS]
    assert len(names) == len(set(names))

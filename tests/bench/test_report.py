"""Medians, ratios and the document: what they say follows from the runs."""

from pathlib import Path

import pytest
from msgspec import structs

from bench.document.plots import PLOTS
from bench.document.template import fill
from bench.document.verdicts import AIMS
from bench.host import Cores, Environment
from bench.jobs import COMPARISONS
from bench.measure import Goal, Measurement, Timing
from bench.report import Recovery, Report, Result, ServerInfo, read, summarize, write
from bench.servers import CANDIDATES

TEMPLATE = Path(__file__).parents[2] / "bench" / "document" / "performance.md"


def run(cpu: float, rate: int = 1_000, **figures: float) -> Measurement:
    """Return a run of one second in which the server took `cpu` s for `rate` operations."""
    return Measurement(rate, 1.0, cpu, 0.5, 0.0, figures=figures)


def result(*runs: Measurement, job: str = "job", candidate: str = "chatd") -> Result:
    return summarize(job, candidate, "messages", Goal("cpu_per_million", 150, at_least=False), runs)


def report(*results: Result) -> Report:
    machine = Environment(2, Cores(0, 1), 1_024, "6.1", {"python": "3.11.7"})
    servers = [ServerInfo(one.candidate, "1.0", [one.candidate], "") for one in results]
    return Report(machine, servers, Timing(0.1, 1.0), results)


def test_a_result_is_the_median_of_its_runs() -> None:
    one = result(run(0.1, 1_000), run(0.9, 3_000), run(0.4, 2_000))
    assert one.rate == 2_000
    assert one.cpu_per_million == 200
    assert one.spread == 1.0


def test_a_ratio_is_the_median_of_the_ratios_of_runs_made_in_turn() -> None:
    quiet_then_disturbed = result(run(0.1), run(0.4), run(0.1))
    twice_as_dear = result(run(0.2), run(0.8), run(0.3), candidate="other")
    assert twice_as_dear.ratio(quiet_then_disturbed) == pytest.approx(2.0)


def test_only_the_one_that_is_measured_has_goals() -> None:
    assert result(run(0.1)).goal_met is True
    assert result(run(0.2)).goal_met is False
    assert result(run(0.2), candidate="other").goal_met is None


def test_a_file_keeps_what_is_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write(report(result(run(0.1), job="old"), result(run(0.1), job="new")), file)
    both = report(result(run(0.2), job="new")).with_earlier(read(file))
    text = {one.job: one.cpu_per_million for one in both.results}
    assert text == {"old": 100, "new": 200}


def test_figures_are_put_into_the_text() -> None:
    measured = report(result(run(0.1, p50_us=7.0)), result(run(0.3), candidate="other"))
    text = "{{cpu job chatd}}, {{ratio job other chatd}}, {{figure job chatd p50_us}}"
    assert fill(text, measured, {}) == "100, 3.00, 7"


def test_what_was_not_measured_is_named_so() -> None:
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
    text = fill(TEMPLATE.read_text(), report(), {name: f"{name}.svg" for name in PLOTS})
    assert "{{" not in text


def test_a_paragraph_is_wrapped_whatever_was_put_into_it_and_nothing_else_is() -> None:
    text = f"{'word ' * 30}\n\n| {'cell ' * 30}|\n\n    {'code ' * 30}"
    paragraph, table, code = fill(text, report(), {}).split("\n\n")
    assert [len(line) <= 100 for line in paragraph.splitlines()] == [True, True]
    assert "\n" not in table + code


def test_an_aim_is_met_or_missed_by_the_ratio_of_what_was_measured_together() -> None:
    def row(*results: Result) -> str:
        return fill("{{aims}}", report(*results), {}).splitlines()[2]

    job = AIMS[0].job
    baseline = result(run(0.1), job=job, candidate="c-baseline")
    assert row(result(run(0.14), job=job), baseline).endswith(
        "| <= 1.40 x c-baseline | 1.40 x c-baseline | met |"
    )
    assert row(result(run(0.2), job=job), baseline).endswith("| 2.00 x c-baseline | **missed** |")
    assert row(baseline).endswith("| not measured |  |")


def test_only_jobs_in_which_others_take_less_are_listed() -> None:
    measured = report(
        *(result(run(0.3), job=job) for job in ("lost", "won")),
        result(run(0.1), job="lost", candidate="redis"),
        result(run(0.4), job="lost", candidate="nats"),
        result(run(0.4), job="won", candidate="nats"),
    )
    assert fill("{{losses}}", measured, {}).splitlines()[2:] == [
        "| `lost` | chatd | CPU | 3.0 x redis |"
    ]


def test_where_the_load_was_the_bottleneck_is_named() -> None:
    busy = Measurement(1_000, 1.0, server_cpu=0.2, load_cpu=1.0, others_cpu=0.0)
    text = fill("{{load}}", report(result(busy, candidate="c-baseline"), result(run(0.1))), {})
    assert "c-baseline 100%, chatd 50%" in text
    assert "in: job on c-baseline." in text.replace("\n", " ")


def test_how_long_a_start_takes_is_kept_beside_the_jobs(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    took = Recovery(2_000_000, 500_000_000, warm=[0.5, 0.2, 0.3], cold=[1.0], killed=[1.5])
    write(structs.replace(report(result(run(0.1))), recovery=took), file)
    text = fill("{{recovery}}", report(result(run(0.2))).with_earlier(read(file)), {})
    assert "2,000,000 messages in the log (500 MB, 250 bytes each)" in text
    text = text.replace("\n", " ")
    assert "0.30 s after chatd was started, 1.00 s when" in text
    assert "1.50 s after a kill" in text


def test_every_comparison_names_candidates_that_there_are() -> None:
    known = {one.name for one in CANDIDATES}
    assert {name for comparison in COMPARISONS for name in comparison.candidates} == known


def test_no_job_is_listed_twice() -> None:
    names = [comparison.job.name for comparison in COMPARISONS]
    assert len(names) == len(set(names))

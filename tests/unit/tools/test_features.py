"""The report of proven features counts only what tests really prove."""

import json
from pathlib import Path

import pytest

from tools import catalogue

ROOT = Path(__file__).resolve().parents[3]
PAGE = """
| row | parts | what it is |
|---|---|---|
| quote.status | mapper | One |
| org.match | mapper, console (read API) | Two |

| fault | what happens |
|---|---|
| F1 | Killed |
"""
INI = """
[pytest]
testpaths = checks
asyncio_default_fixture_loop_scope = function
markers =
  feature
  fault
  invariant
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(INI)
    (pytester.path / "docs").mkdir()
    (pytester.path / "docs" / "features.md").write_text(PAGE)
    (pytester.path / "ARCHITECTURE.md").write_text("- **INV-1** holds\n### **INV-2** too\nsee **INV-3**\n")
    (pytester.path / "checks").mkdir()
    return pytester


def run(project: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    (project.path / "checks" / "test_it.py").write_text("import pytest\n" + tests)
    return project.runpytest("-p", "tests.plugins.features", "-p", "no:cacheprovider", *options)


def words(project: pytest.Pytester) -> dict[str, str]:
    report = json.loads((project.path / catalogue.REPORT_FILE).read_text())
    return {
        id_: v.word for id_, v in catalogue.verdicts(catalogue.read_features(project.path), report).items()
    }


STATUS = '@pytest.mark.feature("quote.status", part="mapper")\n'
MATCH = '@pytest.mark.feature("org.match", part="mapper")\n'


def test_a_row_passes_when_every_part_does(project: pytest.Pytester) -> None:
    run(project, STATUS + "def test_a(): pass\n" + MATCH + "def test_b(): pass\n")

    assert words(project) == {"quote.status": "passing", "org.match": "partial"}


def test_results_are_counted_wherever_the_tests_ran(project: pytest.Pytester) -> None:
    alone = run(project, STATUS + "def test_it():\n    pass\n")
    by_one = words(project)
    together = run(project, STATUS + "def test_it():\n    pass\n", "-n", "2")
    assert alone.ret == together.ret == 0
    assert words(project) == by_one
    assert by_one["quote.status"] != "none"


def test_one_failing_test_outweighs_the_passing_ones(project: pytest.Pytester) -> None:
    run(project, STATUS + "def test_a(): pass\n" + STATUS + "def test_b(): assert False\n")

    assert words(project)["quote.status"] == "failing"


def test_a_failing_teardown_is_a_failing_test(project: pytest.Pytester) -> None:
    run(
        project,
        "@pytest.fixture\ndef broken():\n    yield\n    assert False\n"
        + STATUS
        + "def test_a(broken): pass\n",
    )

    assert words(project)["quote.status"] == "failing"


@pytest.mark.parametrize("body", ["pytest.skip('no server')", "pytest.xfail('known')"])
def test_a_test_that_did_not_run_to_its_end_proves_nothing(project: pytest.Pytester, body: str) -> None:
    run(project, STATUS + f"def test_a(): {body}\n")

    assert words(project)["quote.status"] == "none"


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ('feature("quote.colour", part="mapper")', "*no row 'quote.colour'*"),
        ('feature("quote.status", part="writer")', "*no part 'writer'; it has: mapper*"),
        ('feature("quote.status")', "*no part None*"),
        ('feature(part="mapper")', "*takes one id*"),
        ('fault("F99")', "*no fault 'F99'*"),
        ('invariant("INV-3")', "*no invariant 'INV-3'*"),
    ],
)
def test_a_mark_that_names_nothing_known_stops_the_run(
    project: pytest.Pytester, mark: str, complaint: str
) -> None:
    result = run(project, f"@pytest.mark.{mark}\ndef test_a(): pass\n")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([complaint])


def test_known_faults_and_invariants_are_accepted(project: pytest.Pytester) -> None:
    marks = '@pytest.mark.fault("F1")\n@pytest.mark.invariant("INV-1")\n@pytest.mark.invariant("INV-2")\n'

    assert run(project, marks + "def test_a(): pass\n").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("options", [["-k", "test_a"], ["checks/test_it.py"], ["-x"]])
def test_a_run_of_a_part_leaves_the_last_report_alone(project: pytest.Pytester, options: list[str]) -> None:
    run(project, STATUS + "def test_a(): pass\n", *options)

    assert not (project.path / catalogue.REPORT_FILE).exists()


def test_every_row_of_the_real_page_is_well_formed() -> None:
    features = catalogue.read_features(ROOT)
    lines = (ROOT / "docs" / "features.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| row", "| fault"))]

    assert len(rows) == len(features) + len(catalogue.read_faults(ROOT))
    assert all(len(feature.line.split()) <= 12 for feature in features.values())

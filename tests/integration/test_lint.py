"""The checks of the Dockerfile through the shipped binary: frames, modes, reports, exit statuses."""

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

BINARY = os.environ.get("SLIPWAY", "/usr/bin/slipway")
SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "lint.schema.json").read_text())
UNTIDY = "FROM scratch as build\nCOPY a /a\nRUN mount /x\nCMD run it\n"
FORMS = ("text", "json", "sarif")


@pytest.fixture
def source(tmp_path):
    def make(dockerfile, **files):
        root = tmp_path / "source"
        root.mkdir(exist_ok=True)
        for name, content in {"Dockerfile": dockerfile, "a": "a", **files}.items():
            (root / name).write_text(content)
        return root
    return make


@pytest.fixture
def report(slipway, source):
    """report(dockerfile, form, *options) → (exit status, text or JSON of the report)."""
    def make(dockerfile, form, *options, offline=True):
        done = slipway.plain("resolve", f"--source={source(dockerfile)}", f"--report={form}",
                             *(["--offline"] if offline else []), *options)
        text = done.out.decode()
        return done.exit, text if form == "text" else json.loads(text)
    return make


def test_findings_are_warnings_with_rule_and_place(slipway, source):
    done = slipway("resolve", f"--source={source(UNTIDY)}").succeeded()
    warnings = {warning["rule"]: warning for warning in done.of("warning")}
    assert set(warnings) == {"FromAsCasing", "UnprivilegedMount", "JSONArgsRecommended"}
    mount = warnings["UnprivilegedMount"]
    assert mount["code"] == "lint"
    assert mount["where"] == {"file": "Dockerfile", "line": 3, "column": 5, "quote": "RUN mount /x"}
    assert "--mount=type=bind" in mount["hint"]
    assert done.handoff("plan")


def test_off_says_nothing_and_error_fails_after_saying_all(slipway, source):
    root = source(UNTIDY)
    assert not slipway("resolve", f"--source={root}", "--lint=off").succeeded().of("warning")
    done = slipway("resolve", f"--source={root}", "--lint=error").failed("build", "dockerfileissue")
    assert len(done.of("warning")) == 3
    assert done.error["where"]["line"] == 1
    assert "3 mistakes" in done.error["message"]


def test_error_passes_a_clean_file_and_notes(slipway, source):
    clean = "FROM scratch\nCOPY a /a\nRUN setcap x /a\nCMD [\"/a\"]\n"
    assert not slipway("resolve", f"--source={source(clean)}", "--lint=error").succeeded().of("warning")


def test_a_file_may_ask_for_errors_and_skip_rules(slipway, source):
    strict = "# check=error=true\n"
    slipway("resolve", f"--source={source(strict + UNTIDY)}").failed("build", "dockerfileissue")
    slipway("resolve", f"--source={source(strict + UNTIDY)}", "--lint=off").succeeded()
    slipway("resolve", f"--source={source(strict + 'FROM scratch' + chr(10) + 'RUN mount /x')}").succeeded()
    skipping = "# check=skip=all;error=true\n"
    assert not slipway("resolve", f"--source={source(skipping + UNTIDY)}", "--lint=error").succeeded().of("warning")


def test_what_planning_notices_keeps_its_code_and_has_a_place(slipway, source):
    done = slipway("resolve", f"--source={source('FROM scratch' + chr(10) + 'CMD [' + chr(34) + 'a' + chr(34) + '] b')}",
                   "--lint=off").succeeded()
    [warning] = done.of("warning")
    assert (warning["code"], warning["rule"], warning["where"]["line"]) == ("jsontrailing", "JsonTrailing", 2)


def test_the_view_for_people_shows_the_place(slipway, source):
    done = slipway.plain("resolve", f"--source={source(UNTIDY)}", "--output=pretty")
    text = done.out.decode()
    assert "FromAsCasing" in text and "Dockerfile:1:14" in text


def test_text_report(report):
    exit_status, text = report(UNTIDY, "text")
    assert exit_status == 0
    first, quote, caret, hint = text.splitlines()[:4]
    assert first.endswith("source/Dockerfile:1:14: warning: as has another case than its FROM [FromAsCasing]")
    assert quote.endswith("FROM scratch as build")
    assert caret.index("^") == quote.index("as build") and caret.count("^") == 2
    assert hint == "  hint: write AS"
    assert text.splitlines()[-1] == "3 warnings"
    assert report("FROM scratch\nCOPY a /a\n", "text") == (0, "no findings\n")


def test_json_report_follows_its_schema(report):
    for dockerfile in (UNTIDY, "FROM scratch\n", "FROM scratch\nCOPPY a b\n", "FROM a AS x\nFROM b AS x\n"):
        jsonschema.validate(report(dockerfile, "json")[1], SCHEMA)
    exit_status, found = report(UNTIDY, "json")
    assert exit_status == 0
    assert found["totals"] == {"errors": 0, "warnings": 3, "notes": 0, "left_out": 0}


def test_sarif_report(report):
    exit_status, log = report("FROM scratch\nRUN echo 🚢 && mount /x\n", "sarif")
    assert exit_status == 0
    assert log["version"] == "2.1.0" and log["$schema"].startswith("https://") and len(log["runs"]) == 1
    run = log["runs"][0]
    driver = run["tool"]["driver"]
    assert driver["name"] == "slipway" and driver["version"]
    names = [rule["id"] for rule in driver["rules"]]
    assert len(names) == len(set(names)) > 40
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] and rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
    [result] = run["results"]
    assert names[result["ruleIndex"]] == result["ruleId"] == "UnprivilegedMount"
    assert result["level"] == "warning" and result["message"]["text"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "Dockerfile"
    assert run["columnKind"] == "utf16CodeUnits"
    line = "RUN echo 🚢 && mount /x"
    begin = len(line[:line.index("mount")].encode("utf-16-le")) // 2 + 1
    assert place["region"] == {"startLine": 2, "startColumn": begin, "endColumn": begin + 5}


@pytest.mark.parametrize("form", FORMS)
def test_a_broken_file_is_an_error_in_the_report(report, form):
    for dockerfile, line in (("FROM scratch\nCOPPY a /a\n", 2), ("FROM a AS x\nFROM b AS x\n", 2),
                             ("FROM scratch\nCOPY --from=9 a /a\n", 2)):
        exit_status, found = report(dockerfile, form)
        assert exit_status == 10
        if form == "text":
            assert f"Dockerfile:{line}:" in found and ": error: " in found and "1 error" in found
        elif form == "json":
            errors = [finding for finding in found["findings"] if finding["severity"] == "error"]
            assert len(errors) == 1 and errors[0]["where"]["line"] == line
        else:
            assert [result["level"] for result in found["runs"][0]["results"]].count("error") == 1


@pytest.mark.parametrize("form", FORMS)
def test_findings_fail_a_report_where_they_are_to(report, form):
    assert report(UNTIDY, form, "--lint=error")[0] == 10
    assert report("# check=error=true\n" + UNTIDY, form)[0] == 10
    assert report("FROM scratch\nCOPY a /a\n", form, "--lint=error")[0] == 0


def test_no_dockerfile_is_an_error_in_the_report(slipway, tmp_path):
    done = slipway.plain("resolve", f"--source={tmp_path}", "--report=json", "--offline")
    assert done.exit == 10
    [finding] = json.loads(done.out)["findings"]
    assert finding["rule"] == "dockerfileissue" and "no Dockerfile" in finding["message"]


def test_no_source_is_an_error_of_its_class(slipway):
    done = slipway.plain("resolve", "--source=/no/such/place", "--report=json", "--offline")
    assert done.exit == 2
    assert json.loads(done.out)["totals"]["errors"] == 1


def test_offline_asks_no_registry_and_leaves_no_plan(slipway, source, tmp_path):
    root = source("FROM registry.invalid/a:1\nCOPY a /a\n")
    state = tmp_path / "left"
    options = [f"--source={root}", "--report=json", f"--state={state}", "--retries=0"]
    done = slipway.plain("resolve", *options, "--offline")
    assert done.exit == 0 and json.loads(done.out)["findings"] == []
    assert not list(state.glob("*plan*"))
    done = slipway.plain("resolve", *options)
    assert done.exit not in (0, 2)
    [finding] = json.loads(done.out)["findings"]
    assert finding["severity"] == "error" and finding["where"]["line"] == 1


def test_offline_belongs_to_a_report(slipway, source):
    slipway("resolve", f"--source={source(UNTIDY)}", "--offline").failed("usage", "missingorinvalidargument")


def test_paths_lead_from_the_current_directory(slipway, source):
    root = source(UNTIDY)
    for directory, option, wanted in ((root, ".", "Dockerfile"), (root.parent, "source", "source/Dockerfile"),
                                      (root.parent, str(root), "source/Dockerfile")):
        done = subprocess.run([BINARY, "resolve", f"--source={option}", "--report=json", "--offline"], cwd=directory,
                              env=slipway.environment(), capture_output=True, timeout=30, check=True)
        assert {finding["where"]["file"] for finding in json.loads(done.stdout)["findings"]} == {wanted}


def test_ten_megabytes_of_run_are_read_once(report):
    pieces = ("mount /x;", "echo \"$(a 'b')\" > /c && ", "$(", "x<<E ", "`\"")
    lines = "\n".join("RUN " + piece * (2_000_000 // len(piece)) + "x" for piece in pieces)
    exit_status, found = report(f"FROM scratch\n{lines}\n", "json")
    assert exit_status in (0, 10)
    if exit_status == 0:
        assert found["totals"]["left_out"] > 100_000

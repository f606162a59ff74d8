"""Where buildah runs: what a RUN can do to what watches it, and the isolation that can be wished for."""

import json

import pytest

# Signals every process called slipway it can see, and says how that went.
MURDER = """\
for process in /proc/[0-9]*; do
    if [ "$(cat $process/comm 2>/dev/null)" = slipway ]; then
        if kill -KILL ${process#/proc/} 2>/dev/null; then echo killed one; else echo could not kill one; fi
    fi
done
echo done
"""


@pytest.fixture
def doctor(slipway):
    return json.loads(slipway.plain("doctor", "--json", f"--work={slipway.work}").out)


def test_a_run_cannot_kill_what_watches_it(built, doctor):
    if doctor["landlock"] < 6 and doctor["trials"]["proc"]["outcome"] != "works":
        pytest.skip("neither Landlock's scopes nor a /proc of the build's own here")
    done = built("ARG BASE\nFROM ${BASE}\nCOPY murder /murder\nRUN . /murder\n", {"murder": MURDER}).succeeded()
    said = [log["text"] for log in done.of("log") if log.get("n") == 3]
    assert said[-1] == "done" and "killed one" not in said, said


def test_oci_isolation_is_refused_where_proc_is_masked(slipway, planned, doctor):
    if doctor["trials"]["proc"]["outcome"] == "works":
        pytest.skip("proc can be mounted here")
    planned("ARG BASE\nFROM ${BASE}\nRUN true\n")
    done = slipway("build", "--tls-verify=false", "--isolation=oci").failed("pod", "podforbids")
    assert "procMount: Unmasked" in done.error["hint"]
    assert not done.of("phase") or done.of("phase")[0]["name"] == "error"


def test_the_hello_says_why_this_recipe(built):
    hello = built("ARG BASE\nFROM ${BASE}\n").succeeded().of("hello")[0]
    assert hello["recipe"]["reason"]


def test_doctor_names_for_each_recipe_what_is_missing(doctor):
    recipes = {recipe["name"]: recipe for recipe in doctor["recipes"]}
    assert set(recipes) == {"A", "A-userns", "G", "B", "C"}
    assert recipes[doctor["recipe"]["name"]]["possible"]
    for recipe in recipes.values():
        assert recipe["possible"] == (not recipe["missing"])
        assert all(entry["sentence"] and entry["yaml"] for entry in recipe["missing"])

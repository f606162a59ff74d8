"""Results as Tekton reads them: every name of docs/handoff.md, no newline at the end, within the budget."""

import json
import re
from pathlib import Path

import pytest

PLAIN = "--tls-verify=false"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "handoff.md").read_text()


def documented():
    """{step: [names]} from the table under "Results"."""
    rows = re.findall(r"^\| ([a-z ]+) \| (`.*) \|$", PAGE.split("## Results")[1], re.MULTILINE)
    # What stands behind a semicolon is another way of the step.
    return {step: re.findall(r"`([A-Za-z_-]+)`", names.split(";")[0]) for step, names in rows}


@pytest.fixture
def step(slipway, tmp_path):
    """step(verb, *options) → (outcome, {name: content of its file}); every documented result is asked for."""
    folder = tmp_path / "results"
    folder.mkdir()

    def run(verb, *options, **more):
        names = {name for names in documented().values() for name in names}
        done = slipway(verb, *options, *(f"--result={name}={folder / f'{verb}-{name}'}" for name in names), **more)
        return done, {name: (folder / f"{verb}-{name}").read_bytes() for name in names
                      if (folder / f"{verb}-{name}").exists()}

    return run


def encoded(values):
    """Bytes that Tekton's entrypoint will need: as its Go structures encode."""
    text = json.dumps([{"key": name, "value": value.decode(), "type": 4} for name, value in values.items()],
                      separators=(",", ":"))
    return len(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode())


def test_every_documented_result_of_the_whole_way(step, make_repository, git_server, registry, base):
    repository = make_repository(files={"Dockerfile": "ARG BASE\nFROM ${BASE}\nCOPY --from=base Dockerfile /\n"
                                                     .replace("COPY --from=base", "COPY")})
    url, names = f"{git_server.url}/project.git", documented()
    assert set(names) == {"fetch", "resolve", "push", "any that fails"}

    done, files = step("fetch", f"--url={url}")
    assert sorted(files) == sorted(names["fetch"])
    assert files["commit"] == files["CHAINS-GIT_COMMIT"] == repository.head().encode()
    assert files["url"] == files["CHAINS-GIT_URL"] == url.encode()
    assert files["committer-date"] == b"2026-01-01T00:00:00Z"
    assert {name: value.encode() for name, value in done.results.items()} == files

    done, files = step("resolve", f"--build-arg=BASE={base}", PLAIN)
    assert sorted(files) == names["resolve"]
    assert files["BASE_IMAGES_DIGESTS"] == f"{base}@{registry.digest('base/small', '1')}".encode()

    done, files = step("build", PLAIN)
    assert not files

    image = f"{registry.address}/results/image"
    done, files = step("push", f"--image={image}:1", "--tag=two", "--tag=1", "--tag=three", PLAIN)
    digest = registry.digest("results/image", "1")
    assert sorted(files) == sorted(names["push"])
    assert files["IMAGE_URL"] == f"{image}:1".encode()
    assert files["IMAGE_DIGEST"] == digest.encode()
    assert files["IMAGE_REF"] == f"{image}@{digest}".encode()
    assert files["IMAGES"] == ",".join(f"{image}:{tag}@{digest}" for tag in ("1", "two", "three")).encode()
    assert done.handoff("pushed")["references"] == [f"{image}:{tag}" for tag in ("1", "two", "three")]
    assert {registry.digest("results/image", tag) for tag in ("1", "two", "three")} == {digest}


def test_a_failure_has_its_two_results_and_no_others(step, git_server):
    done, files = step("fetch", f"--url={git_server.url}/nothing.git")
    assert sorted(files) == sorted(documented()["any that fails"])
    assert files["error-reason"].decode() == done.error["code"]
    assert files["error-message"].decode() == done.error["message"]


@pytest.fixture
def image(slipway, resolved, fake_buildah):
    resolved({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=A", "--storage=vfs").succeeded()


def test_many_long_tags_stay_within_the_budget(step, image, registry):
    tags = [f"tag-{number}-" + "x" * 110 for number in range(30)]
    name = f"{registry.address}/many/tags"
    done, files = step("push", f"--image={name}:first", *(f"--tag={tag}" for tag in tags), PLAIN)
    done.succeeded()
    assert encoded(files) <= 1800
    kept = files["IMAGES"].decode().split(",")
    digest = registry.digest("many/tags", "first")
    assert kept == [f"{name}:{tag}@{digest}" for tag in ["first", *tags]][:len(kept)] and len(kept) > 3
    assert "resultcut" in [warning["code"] for warning in done.of("warning")]
    assert len(done.handoff("pushed")["references"]) == 31
    assert files["IMAGE_DIGEST"] == digest.encode()


def test_a_smaller_budget_is_kept_too(step, image, registry):
    done, files = step("push", f"--image={registry.address}/small/budget:first", "--tag=second", PLAIN,
                       "--result-budget=500")
    done.succeeded()
    assert encoded(files) <= 500
    assert files["IMAGE_DIGEST"]


def test_a_long_error_message_is_shortened(step, slipway):
    done, files = step("fetch", "--url=file:///" + "n" * 200 + "/" + "é" * 1500)
    assert done.exit != 0
    assert encoded(files) <= 1800
    assert files["error-reason"]
    files["error-message"].decode()


def test_a_result_that_cannot_be_written_is_no_success(slipway, make_repository, git_server):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--result=commit=/proc/nowhere/commit")
    assert done.exit != 0 and done.end["status"] == "failed", done.story()
    names = [result["name"] for result in done.of("result")]
    assert len(names) == len(set(names)), f"told twice: {names}"


def test_an_earlier_steps_values_do_not_survive_a_failure(slipway, make_repository, git_server, tmp_path):
    make_repository()
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    slipway("resolve").succeeded()
    assert slipway("fetch", f"--url={git_server.url}/nothing.git").exit != 0
    for name in ("source", "plan", "image", "pushed"):
        assert not (slipway.state / f"{name}.json").exists(), name


def test_skip_pushes_nothing(step, image, relay):
    done, files = step("push", f"--image={relay.address}/skipped/image:1", "--skip", PLAIN)
    done.succeeded()
    assert not relay.requests
    assert files["IMAGE_DIGEST"].decode() == done.handoff("image")["manifest-digest"]

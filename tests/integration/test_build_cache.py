"""The layer cache in a real registry: used, counted, and never the reason of a failure."""

import pytest

DOCKERFILE = """\
ARG BASE
FROM ${BASE} AS one
COPY data /data
RUN echo ran one; echo one >/one
FROM ${BASE}
COPY --from=one /one /one
RUN echo ran two; cat /one >/two
"""
EVERY_RUN = ["ran one", "ran two"]


@pytest.fixture
def build(tmp_path, base):
    """build(*options, data=…, dockerfile=…) → a build in a state and a storage of its own."""
    from conftest import Slipway

    count = 0

    def make(*options, data="data\n", dockerfile=DOCKERFILE, based=base, **more):
        nonlocal count
        count += 1
        place = tmp_path / str(count)
        source = place / "source"
        source.mkdir(parents=True)
        (source / "Dockerfile").write_text(dockerfile)
        (source / "data").write_text(data)
        slipway = Slipway(place)
        slipway("resolve", f"--source={source}", f"--build-arg=BASE={based}", "--tls-verify=false").succeeded()
        return slipway("build", "--tls-verify=false", *options, seconds=300, **more)

    return make


@pytest.fixture
def cache(registry, request):
    """A cache repository of the test's own."""
    return f"{registry.address}/cache/{abs(hash(request.node.name)) % 10 ** 8}"


def ran(done):
    return [line for line in done.log.splitlines() if line in EVERY_RUN]


def cached(done):
    """(cached commands, all) as the progress says."""
    (progress,) = [one for one in done.of("progress") if one["what"] == "cache"]
    assert progress["unit"] == "commands"
    return progress["current"], progress["total"]


def warnings(done):
    return [warning["code"] for warning in done.of("warning")]


def test_a_second_build_elsewhere_takes_its_steps_from_the_cache(build, cache):
    first = build(f"--cache-from={cache}", f"--cache-to={cache}").succeeded()
    assert sorted(ran(first)) == EVERY_RUN and cached(first)[0] == 0 and not warnings(first)
    assert [phase["name"] for phase in first.of("phase")] == ["pulling", "checking-cache", "priming-cache", "building"]
    second = build(f"--cache-from={cache}").succeeded()
    assert not ran(second)
    texts = {command["text"].split()[0] for command in second.of("command") if command["state"] == "cached"}
    assert texts == {"COPY", "RUN"}
    assert cached(second) == (len(second.commands("cached")), len(second.handoff("plan")["commands"])) == (4, 6)


def test_what_changed_runs_again_and_what_stands_before_it_does_not(build, cache):
    build(f"--cache-to={cache}").succeeded()
    again = build(f"--cache-from={cache}", dockerfile=DOCKERFILE + "RUN echo ran two\n").succeeded()
    assert ran(again) == ["ran two"]
    other = build(f"--cache-from={cache}", data="other\n").succeeded()
    assert "ran one" in ran(other)


def test_another_base_of_the_same_name_is_another_cache(build, cache, registry):
    import servers.image

    reference = f"{registry.address}/base/moves:1"
    for more in ((), ("tac",)):
        registry.put_image("base/moves", "1", *servers.image.layer(more), servers.image.CONFIG)
        done = build(f"--cache-from={cache}", f"--cache-to={cache}", based=reference).succeeded()
        assert sorted(ran(done)) == EVERY_RUN, more


@pytest.mark.xfail(strict=True, reason="buildah's key knows a base's layers, not its configuration (docs/pods.md)")
def test_a_base_that_differs_in_its_configuration_is_another_cache(build, cache, registry):
    import servers.image

    reference = f"{registry.address}/base/moves:1"
    layer = servers.image.layer()
    for word in ("before", "after"):
        registry.put_image("base/moves", "1", *layer, {**servers.image.CONFIG, "Labels": {"base": word}})
        done = build(f"--cache-from={cache}", f"--cache-to={cache}", based=reference).succeeded()
        assert sorted(ran(done)) == EVERY_RUN, word


def test_a_cache_older_than_its_time_is_not_taken(build, cache):
    build(f"--cache-to={cache}").succeeded()
    assert sorted(ran(build(f"--cache-from={cache}", "--cache-ttl=1ms").succeeded())) == EVERY_RUN
    assert not ran(build(f"--cache-from={cache}", "--cache-ttl=24h").succeeded())


@pytest.mark.parametrize("ill", ["down", "503", "garbage", "401", "gone after the check"])
def test_a_cache_that_cannot_be_read_is_a_warning(build, cache, registry, relay, ill):
    where = cache.replace(registry.address, relay.address)
    if ill == "down":
        where = "127.0.0.1:1/cache/down"
    asked = []

    def rule(_method, path):
        asked.append(path)
        if ill == "gone after the check":
            return None if "slipway-probe" in path or path == "/v2/" else 503
        return None if path == "/v2/" and ill != "garbage" else {"503": 503, "garbage": 200, "401": 401}[ill]

    relay.rule = rule
    done = build(f"--cache-from={where}").succeeded()
    assert sorted(ran(done)) == EVERY_RUN and cached(done)[0] == 0
    if ill != "gone after the check":
        assert warnings(done) == [code for code in warnings(done) if code in ("retry", "cachelookupissue")]
        assert "cachelookupissue" in warnings(done)


@pytest.mark.parametrize("ill", ["down", "503", "garbage", "401"])
def test_a_cache_that_cannot_be_written_is_a_warning(build, cache, registry, relay, ill):
    where = cache.replace(registry.address, relay.address) if ill != "down" else "127.0.0.1:1/cache/down"
    relay.rule = lambda _method, path: None if path == "/v2/" and ill != "garbage" else \
        {"503": 503, "garbage": 200, "401": 401}[ill]
    done = build(f"--cache-to={where}").succeeded()
    assert sorted(ran(done)) == EVERY_RUN
    assert "cachepushissue" in warnings(done)


def test_a_read_only_cache_is_read_and_not_written(build, cache, read_only_registry):
    done = build(f"--cache-from={read_only_registry.address}/cache/x", f"--cache-to={read_only_registry.address}/cache/x")
    assert "cachepushissue" in warnings(done.succeeded()) and "cachelookupissue" not in warnings(done)


def test_a_cache_that_breaks_in_the_middle_is_left_out(build, cache, registry, relay):
    """buildah gives up a build whose layer it cannot push; the second try finds its layers in its own storage."""
    relay.rule = lambda method, path: 503 if method == "PUT" and "/manifests/" in path else None
    done = build(f"--cache-to={cache.replace(registry.address, relay.address)}").succeeded()
    assert "cannotpullforcache" in warnings(done)
    assert sorted(ran(done)) == EVERY_RUN


def test_a_run_that_speaks_of_the_cache_breaks_the_build_all_the_same(build, cache):
    dockerfile = "ARG BASE\nFROM ${BASE}\nRUN echo 'Error: failed pushing cache to it' >&2; exit 7\n"
    done = build(f"--cache-to={cache}", dockerfile=dockerfile).failed("build", "builderror")
    assert done.error["child_exit"] == 7


@pytest.mark.parametrize("option", ["--hermetic", "--squash"])
def test_options_that_rule_the_cache_out_say_so(build, cache, option):
    done = build(f"--cache-from={cache}", f"--cache-to={cache}", option).succeeded()
    assert "cachelookupissue" in warnings(done) and sorted(ran(done)) == EVERY_RUN


@pytest.mark.parametrize("value", ["a/b:tag", "a b", "127.0.0.1:5000/x@sha256:" + "0" * 64])
def test_a_cache_is_a_repository(build, value):
    build(f"--cache-from={value}").failed("usage", "missingorinvalidargument")

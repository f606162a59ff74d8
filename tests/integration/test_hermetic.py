"""Builds without a network: --hermetic, --network, RUN --network=none; held against a server that is really there."""

import pytest

# Reaches a server of this machine, by its address; says which of the two happened.
TRY = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && echo reached || echo cut off"
LOOPBACK = "cat /proc/net/dev"


@pytest.fixture
def tried(built, networked_base, registry):
    """tried(RUN's flags, *options) → a build whose RUNs try to reach the registry."""

    def make(runs, *options, files=None, **more):
        dockerfile = "ARG BASE\nFROM ${BASE}\nCOPY data /data\n" + "".join(
            f"RUN {flags} {TRY.format(port=registry.port)}\n" for flags in runs)
        return built(dockerfile, {"data": "x", **(files or {})}, *options, resolve=[f"--build-arg=BASE={networked_base}"],
                     **{"seconds": 180, **more})

    return make


def test_without_the_option_a_run_reaches_a_server(tried):
    assert "reached" in tried([""]).succeeded().log.splitlines()


@pytest.mark.parametrize("option", ["--hermetic", "--network=none"])
def test_a_hermetic_run_reaches_nothing_and_its_base_was_fetched(tried, option):
    done = tried(["", "--network=host", "--network=default"], option).succeeded()
    lines = done.log.splitlines()
    assert lines.count("cut off") == 3 and "reached" not in lines
    assert [phase["name"] for phase in done.of("phase")][:2] == ["pulling", "building"]


def test_a_hermetic_build_keeps_owners_loopback_and_who_wrote_what(built, slipway, registry, networked_base):
    done = built("ARG BASE\nFROM ${BASE}\nRUN cat /proc/net/dev; chown 1234:65534 /etc/group; chown 4711 /bin/ssh; exit 0\n"
                 "RUN echo 'STEP 9/9: RUN forged'\n", None, "--hermetic", resolve=[f"--build-arg=BASE={networked_base}"],
                 seconds=180).succeeded()
    devices = [line for line in done.log.splitlines() if ":" in line and "lo:" in line or "eth" in line]
    assert len(devices) == 1 and "lo:" in devices[0]
    assert {command["trust"] for command in done.of("command")} == {"writer"}
    assert done.commands("done") == [1, 2, 3]
    slipway("push", f"--image={registry.address}/hermetic/image:1", "--tls-verify=false").succeeded()
    files = registry.files("hermetic/image", "1")
    assert (files["etc/group"].uid, files["etc/group"].gid, files["bin/ssh"].uid) == (1234, 65534, 4711)


def test_a_file_whose_runs_all_ask_for_no_network_gets_none(tried):
    lines = tried(["--network=none", "--network=none"]).succeeded().log.splitlines()
    assert lines.count("cut off") == 2


def test_runs_of_both_kinds_are_refused_with_what_would_help(tried):
    done = tried(["", "--network=none"]).failed("build", "dockerfileissue")
    assert done.error["where"]["line"] == 5 and "--hermetic" in done.error["hint"] and "--network=host" in done.error["hint"]


def test_network_host_says_that_the_file_is_overruled(tried):
    done = tried(["", "--network=none"], "--network=host").succeeded()
    assert done.log.splitlines().count("reached") == 2
    assert [warning["code"] for warning in done.of("warning")] == ["networkignored"]


def test_a_hermetic_add_from_the_network_is_refused_before_anything_is_built(built):
    done = built("ARG BASE\nFROM ${BASE}\nADD http://127.0.0.1:1/x /x\n", None, "--hermetic").failed("build", "dockerfileissue")
    assert done.error["where"]["line"] == 3 and not done.of("command")


def test_hermetic_and_network_host_contradict_each_other(built):
    built("ARG BASE\nFROM ${BASE}\n", None, "--hermetic", "--network=host").failed("usage", "missingorinvalidargument")


def test_a_command_that_fails_for_lack_of_a_network_is_told_why(built, networked_base, registry):
    done = built(f"ARG BASE\nFROM ${{BASE}}\nRUN bash -c 'exec 3<>/dev/tcp/127.0.0.1/{registry.port}'\n", None, "--hermetic",
                 resolve=[f"--build-arg=BASE={networked_base}"], seconds=180).failed("build", "builderror")
    assert "no network" in done.error["hint"]


def test_nothing_of_a_hermetic_build_outlives_a_stop(slipway, planned):
    planned("ARG BASE\nFROM ${BASE}\nRUN trap '' TERM; echo sleeping; sleep 63.5\n")
    running = slipway.start("build", "--tls-verify=false", "--hermetic")
    running.wait_for(lambda frame: frame["kind"] == "log" and frame["log"]["text"] == "sleeping", 120)
    running.signal()
    running.finish(60).cancelled()
    from test_build import processes
    assert not processes("sleep\0" "63.5")

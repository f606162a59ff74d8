"""What a base image's name stands for: registries.conf, overrides; and that the very image resolved is built on."""

import pytest

RUN = "FROM {}\nRUN echo built on it\n"


@pytest.fixture
def configured(slipway, tmp_path):
    """configured(registries_conf, verb, *options): with that registries.conf."""
    def run(text, verb, *options):
        (tmp_path / "registries.conf").write_text(text)
        return slipway(verb, "--tls-verify=false", *options, seconds=90,
                       environment={"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "registries.conf")})
    return run


def the_base(done):
    (image,) = done.handoff("plan")["images"]
    return image


def test_an_alias_of_registries_conf_is_followed_and_built_on(configured, sources, registry, base):
    source = sources({"Dockerfile": RUN.format("tiny:1")})
    conf = f'[aliases]\ntiny = "{base.rpartition(":")[0]}"\n'
    done = configured(conf, "resolve", f"--source={source}").succeeded()
    assert the_base(done)["name"] == base
    assert the_base(done)["pinned"] == f"{registry.address}/base/small@{registry.digest('base/small', '1')}"
    assert f"tiny:1 stands for {base}" in done.log
    assert "built on it" in configured(conf, "build").succeeded().log


def test_a_short_name_is_looked_for_in_the_search_registries_in_order(configured, sources, registry, private_registry, base):
    source = sources({"Dockerfile": RUN.format("base/small:1")})
    # The first has no such image (and, being private, says "denied" instead); the second has it.
    conf = f'unqualified-search-registries = ["{private_registry.address}", "{registry.address}"]\n'
    done = configured(conf, "resolve", f"--source={source}").succeeded()
    assert the_base(done)["name"] == base
    assert "built on it" in configured(conf, "build").succeeded().log


def test_a_registry_that_is_down_lets_no_other_answer_for_its_names(configured, sources, registry, base):
    source = sources({"Dockerfile": RUN.format("base/small:1")})
    conf = f'unqualified-search-registries = ["localhost:1", "{registry.address}"]\n'
    configured(conf, "resolve", f"--source={source}", "--retries=0").failed("network")


def test_a_mirror_answers_and_the_name_stays(configured, sources, registry, base):
    source = sources({"Dockerfile": RUN.format("images.example/base/small:1")})
    conf = ('[[registry]]\nlocation = "images.example"\n'
            f'[[registry.mirror]]\nlocation = "{registry.address}"\ninsecure = true\n')
    done = configured(conf, "resolve", f"--source={source}").succeeded()
    assert the_base(done)["name"] == "images.example/base/small:1"
    assert "built on it" in configured(conf, "build").succeeded().log


def test_a_blocked_registry_is_said(configured, sources):
    source = sources({"Dockerfile": RUN.format("images.example/x:1")})
    done = configured('[[registry]]\nlocation = "images.example"\nblocked = true\n', "resolve", f"--source={source}")
    done.failed("build", "cannotpullbaseimage")
    assert "blocked" in done.error["message"] and done.error["where"]["line"] == 1


@pytest.mark.parametrize("spelling", ["debian:13", "images.example/debian:13"])
def test_a_base_is_overridden_by_name(configured, sources, registry, base, spelling):
    source = sources({"Dockerfile": RUN.format(spelling)})
    done = configured("", "resolve", f"--source={source}", f"--base-image-override={spelling}={base}").succeeded()
    assert the_base(done)["pinned"].startswith(f"{registry.address}/base/small@sha256:")
    assert "built on it" in configured("", "build").succeeded().log


def test_tag_and_digest_together_mean_the_digest(configured, sources, registry, base):
    digest = registry.digest("base/small", "1")
    source = sources({"Dockerfile": RUN.format(f"{registry.address}/base/small:moved@{digest}")})
    done = configured("", "resolve", f"--source={source}").succeeded()
    assert the_base(done)["manifest-digest"] == digest
    assert "built on it" in configured("", "build").succeeded().log


def test_the_base_says_what_it_brings(configured, sources, registry):
    from servers import image

    config = {**image.CONFIG, "User": "reader", "Env": ["PATH=/bin", "VERSION=7"], "OnBuild": ["RUN echo triggered"]}
    registry.put_image("base/rich", "1", *image.layer(), config)
    source = sources({"Dockerfile": RUN.format(f"{registry.address}/base/rich:1")})
    done = configured("", "resolve", f"--source={source}").succeeded()
    assert the_base(done)["user"] == "reader"
    assert the_base(done)["env"] == ["PATH=/bin", "VERSION=7"]
    assert the_base(done)["on-build"] == ["RUN echo triggered"]
    assert [w for w in done.of("warning") if w["code"] == "onbuild"]

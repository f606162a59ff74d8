"""Where a source goes when callers have their own directory, and a source that is there already."""

import pytest


def test_a_subdirectory_below_the_target_is_used(slipway, tmp_path):
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\n")
    done = slipway("fetch", f"--dockerfile-only={dockerfile}", f"--into={tmp_path / 'to'}", "--subdirectory=a/b").succeeded()
    assert (tmp_path / "to/a/b/Dockerfile").exists()
    assert done.handoff("source")["directory"] == str(tmp_path / "to/a/b")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x"])
def test_a_subdirectory_never_leads_out(slipway, tmp_path, path):
    slipway("fetch", "--dockerfile-only=/dev/null", f"--into={tmp_path / 'to'}", f"--subdirectory={path}").failed("usage")


def test_a_directory_that_holds_something_can_be_kept(slipway, tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "to/mine").write_text("x")
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\n")
    options = (f"--dockerfile-only={dockerfile}", f"--into={tmp_path / 'to'}", "--delete-existing=false")
    slipway("fetch", *options).failed("usage")
    assert (tmp_path / "to/mine").exists()
    slipway("fetch", *options, "--subdirectory=new").succeeded()


def test_what_is_there_is_the_source_when_none_is_named(slipway, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    done = slipway("fetch", f"--into={tmp_path}", "--allow-existing=true").succeeded()
    assert done.handoff("source")["directory"] == str(tmp_path) and done.results == {}
    assert (tmp_path / "Dockerfile").exists()
    slipway("fetch", f"--into={tmp_path / 'none'}", "--allow-existing=true").failed("usage")


def test_authorities_can_be_a_directory(slipway, tmp_path):
    folder = tmp_path / "ca"
    folder.mkdir()
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (folder / "one.crt").write_text("ONE\n")
    (folder / "two.pem").write_text("TWO")
    (folder / "key.txt").write_text("not-an-authority\n")
    options = ("fetch", f"--dockerfile-only={tmp_path / 'Dockerfile'}", f"--ca-file={folder}")
    text = (slipway(*options).succeeded().state / "authorities.pem").read_text()
    assert text.startswith("ONE\nTWO\n") and "not-an-authority" not in text and "BEGIN CERTIFICATE" in text
    text = (slipway(*options, "--ca-name=key.txt").succeeded().state / "authorities.pem").read_text()
    assert text.startswith("not-an-authority\n") and "ONE" not in text


def test_authorities_of_an_empty_directory_are_the_systems(slipway, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "ca").mkdir()
    done = slipway("fetch", f"--dockerfile-only={tmp_path / 'Dockerfile'}", f"--ca-file={tmp_path / 'ca'}").succeeded()
    assert not (done.state / "authorities.pem").exists()

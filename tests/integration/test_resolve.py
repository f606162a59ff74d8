"""resolve: finding and understanding the Dockerfile; no network in these."""

import pytest


def resolve(slipway, tmp_path, files, *options):
    source = tmp_path / "source"
    source.mkdir(exist_ok=True)
    for path, content in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(content)
    return slipway("resolve", f"--source={source}", *options)


def test_a_plan_is_left(slipway, tmp_path):
    done = resolve(slipway, tmp_path, {"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "a"}).succeeded()
    assert done.handoff("plan")


def test_containerfile_serves_too(slipway, tmp_path):
    resolve(slipway, tmp_path, {"Containerfile": "FROM scratch\nCOPY a /a\n", "a": "a"}).succeeded()


def test_a_missing_dockerfile(slipway, tmp_path):
    done = resolve(slipway, tmp_path, {"README": "nothing here"}).failed("build", "dockerfileissue")
    assert "Dockerfile" in done.error["message"]


def test_a_syntax_error_has_file_and_line(slipway, tmp_path):
    done = resolve(slipway, tmp_path, {"Dockerfile": "FROM scratch\n\nCOPPY a /a\n"}).failed("build", "dockerfileissue")
    assert done.error["where"]["file"] == "Dockerfile"
    assert done.error["where"]["line"] == 3


def test_no_path_leaves_the_tree_by_dots(slipway, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    for options in (["--dockerfile=../Dockerfile"], ["--context=.."], ["--dockerfile=/etc/passwd"]):
        done = resolve(slipway, tmp_path, {"Dockerfile": "FROM scratch\n"}, *options)
        assert done.exit in (2, 10), (options, done.story())


def test_no_path_leaves_the_tree_by_symlink(slipway, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "Dockerfile").write_text("FROM scratch\n")
    source = tmp_path / "source"
    source.mkdir()
    (source / "context").symlink_to(tmp_path / "outside")
    (source / "Dockerfile").symlink_to("/etc/passwd")
    for options in ([], ["--context=context"], ["--dockerfile=context/Dockerfile"]):
        done = slipway("resolve", f"--source={source}", *options)
        assert done.exit == 10, (options, done.story())
        assert b"root:" not in done.out


def test_resolve_without_a_source_says_what_is_missing(slipway):
    slipway("resolve").failed("usage", "missingorinvalidargument")
    done = slipway("resolve", "--source=/no/such/place").failed("usage", "missingorinvalidargument")
    assert "/no/such/place" in done.error["message"]


def test_a_missing_context_is_the_callers_or_the_authors(slipway, tmp_path):
    done = resolve(slipway, tmp_path, {"Dockerfile": "FROM scratch\n"}, "--context=no/such/folder")
    done.failed("build", "contextissue")
    assert "no/such/folder" in done.error["message"]


def test_a_missing_target_is_named(slipway, tmp_path):
    done = resolve(slipway, tmp_path, {"Dockerfile": "FROM scratch AS one\n"}, "--target=two")
    done.failed("usage", "missingorinvalidargument")
    assert "two" in done.error["message"] and "one" in done.error["hint"]


def test_a_named_dockerfile_is_found_below_source_or_context(slipway, tmp_path):
    files = {"a/b.Dockerfile": "FROM scratch\n", "a/Dockerfile": "NONSENSE\n"}
    for options in (["--dockerfile=a/b.Dockerfile"], ["--context=/a", "--dockerfile=b.Dockerfile"], ["--context=a/",
                    "--dockerfile=/a/b.Dockerfile"]):
        done = resolve(slipway, tmp_path, files, *options).succeeded()
        assert done.handoff("plan")["dockerfile"] == "a/b.Dockerfile"


@pytest.mark.parametrize("dockerfile, line", [
    ("FROM scratch\nRUN [\"a\", b]\nNONSENSE x\n", 3), ("", None), ("# only a comment\n", None), ("RUN id\n", 1),
    ("FROM\n", 1), ("FROM scratch AS\n", 1), ("FROM scratch\nCOPY a\n", 2), ("FROM scratch\nRUN <<EOF\nx\n", 2),
    ("FROM scratch\n\n# c\nENV\n", 4), ("ARG A=1\nFROM ${A:?no}${B\n", 2), ("FROM scratch\nADD --no-such=1 a b\n", 2)])
def test_what_cannot_be_parsed_has_its_line(slipway, tmp_path, dockerfile, line):
    done = resolve(slipway, tmp_path, {"Dockerfile": dockerfile}).failed("build", "dockerfileissue")
    assert done.error["where"]["file"] == "Dockerfile"
    assert done.error["where"].get("line") == line, done.error
    if line:
        assert done.error["where"]["quote"] == dockerfile.splitlines()[line - 1]

"""resolve looks at the build context: ignore files, the sources of COPY and ADD, where the Dockerfile is found.

What buildah itself makes of the same trees is in tests/differential; here is what people are told.
"""

import os
import socket

import pytest

FROM = "FROM scratch\n"


@pytest.fixture
def resolve(slipway, tmp_path):
    """resolve({path: content}, *options) → the outcome; the tree is at .source."""

    def run(files, *options, **more):
        for path, content in files.items():
            target = run.source / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("->"):
                target.symlink_to(content[2:])
            else:
                target.write_text(content)
        return slipway("resolve", f"--source={run.source}", *options, **more)

    run.source = tmp_path / "source"
    return run


def warnings(done):
    return {warning["code"]: warning for warning in done.of("warning")}


def test_the_plan_says_what_the_context_holds(resolve):
    done = resolve({"Dockerfile": FROM + "COPY . /\n", ".dockerignore": "*.log\n", "a": "12345", "d/b": "123", "x.log": "x"})
    plan = done.succeeded().handoff("plan")
    assert plan["ignore-file"] == ".dockerignore"
    assert plan["context-files"] == 4
    assert plan["context-bytes"] == len("FROM scratch\nCOPY . /\n*.log\n12345123")
    assert plan["warnings"] == []
    timing = [timing for timing in done.of("timing") if timing["what"] == "context"]
    assert len(timing) == 1 and timing[0]["bytes"] == plan["context-bytes"]


def test_without_an_ignore_file_the_plan_names_none(resolve):
    assert resolve({"Dockerfile": FROM}).succeeded().handoff("plan")["ignore-file"] == ""


def test_list_context_prints_what_is_not_ignored(resolve):
    files = {"app/Dockerfile": FROM, "app/.dockerignore": "*\n!src/keep\n", "app/src/keep": "k", "app/src/drop": "d",
             "other": "o"}
    done = resolve(files, "--context=app", "--list-context").succeeded()
    assert done.log == "src/\nsrc/keep\n"
    assert resolve({}, "--context=app").succeeded().log == ""


def test_a_missing_source_is_an_error_with_its_place(resolve):
    done = resolve({"Dockerfile": FROM + "\n# a comment\nCOPY a \\\n  src/mian.c /\n", "a": "a", "src/main.c": "c"})
    done.failed("build", "contextissue")
    assert done.error["where"] == {"file": "Dockerfile", "line": 5, "column": 3, "quote": "  src/mian.c /"}
    assert "COPY src/mian.c" in done.error["message"]
    assert "did you mean src/main.c?" in done.error["hint"]


@pytest.mark.parametrize("source, hint", [
    ("SRC/main.c", "did you mean src?"), ("src/Main.c", "did you mean src/main.c? Upper and lower case differ"),
    ("main.c", "there is src/main.c"), ("target/app.jar", "only what was fetched is there"),
    ("*.jar", "only what was fetched is there")])
def test_the_hint_says_what_may_have_been_meant(resolve, source, hint):
    done = resolve({"Dockerfile": FROM + f"COPY {source} /\n", "src/main.c": "c"}).failed("build", "contextissue")
    assert hint in done.error["hint"]


def test_a_source_outside_the_context_is_said_to_be_there(resolve):
    files = {"app/Dockerfile": FROM + "COPY shared/x /\n", "shared/x": "x"}
    done = resolve(files, "--context=app").failed("build", "contextissue")
    assert "outside the context, app" in done.error["hint"]


def test_a_source_named_from_the_root_of_the_tree(resolve):
    files = {"app/Dockerfile": FROM + "COPY app/x /\n", "app/x": "x"}
    done = resolve(files, "--context=app").failed("build", "contextissue")
    assert done.error["hint"] == "paths begin in the context, app: write x"


def test_an_ignored_source_is_an_error_that_names_the_line(resolve):
    done = resolve({"Dockerfile": FROM + "COPY config.yml /\n", ".dockerignore": "# secrets\n*.yml\n", "config.yml": "c"})
    done.failed("build", "contextissue")
    assert done.error["message"] == 'COPY config.yml: line 2 of .dockerignore ("*.yml") excludes config.yml'
    assert '"!config.yml"' in done.error["hint"]


def test_a_bind_mount_is_looked_for_and_not_ignored(resolve, base):
    def mount(source):
        return resolve({"Dockerfile": f"FROM {base}\nRUN --mount=type=bind,source={source},target=/m true\n", "a": "a",
                        ".dockerignore": "a\n"}, "--tls-verify=false")

    mount("a").succeeded()
    done = mount("b").failed("build", "contextissue")
    assert "RUN --mount b" in done.error["message"]


def test_all_missing_sources_are_told(resolve):
    done = resolve({"Dockerfile": FROM + "COPY one /\nCOPY two /\n"}).failed("build", "contextissue")
    assert "one" in done.error["message"]
    assert "Dockerfile:3: COPY two" in warnings(done)["contextissue"]["message"]


def test_dots_that_climb_are_a_warning(resolve):
    done = resolve({"Dockerfile": FROM + "COPY ../a /\n", "a": "a"}).succeeded()
    assert "this is a" in warnings(done)["sourceclimbs"]["message"]
    assert [warning["code"] for warning in done.handoff("plan")["warnings"]] == ["sourceclimbs"]


def test_a_link_out_of_the_context_is_an_error(resolve):
    done = resolve({"Dockerfile": FROM + "COPY link /\n", "link": "->/etc/passwd"}).failed("build", "contextissue")
    assert "not in the context" in done.error["message"]


def test_what_a_base_image_may_decide_is_no_error(resolve, base):
    tail = ["--tls-verify=false"]
    done = resolve({"Dockerfile": f"FROM {base}\nARG JAR=app.jar\nCOPY ${{JAR}} /\n"}, *tail).succeeded()
    assert "app.jar" in warnings(done)["sourceunsure"]["message"]
    done = resolve({"Dockerfile": f"FROM {base}\nCOPY ${{FROM_BASE}}/x /\n"}, *tail).succeeded()
    assert not warnings(done).keys() & {"sourceunsure", "contextissue"}
    done = resolve({"Dockerfile": f"FROM {base}\nENV JAR=app.jar\nCOPY ${{JAR}} /\n"}, *tail)
    done.failed("build", "contextissue")


def test_an_unreadable_pattern_ends_the_build_only_where_it_is_read(resolve):
    done = resolve({"Dockerfile": FROM + "COPY a /\n", "a": "a", ".dockerignore": "a\nlibstdc++\n"})
    done.failed("build", "contextissue")
    assert done.error["where"] == {"file": ".dockerignore", "line": 2, "column": 1, "quote": "libstdc++"}
    done = resolve({"Dockerfile": FROM + "LABEL a=b\n"}).succeeded()
    assert "ignorefile" in warnings(done)


def test_a_pattern_that_cannot_be_checked_is_a_warning(resolve):
    done = resolve({"Dockerfile": FROM + "COPY nosuch /\n", ".dockerignore": "[[:alpha:]]\n"}).succeeded()
    assert "contextunchecked" in warnings(done)


def test_an_ignore_file_that_is_none(resolve):
    done = resolve({"Dockerfile": FROM, ".dockerignore/x": "x"}).failed("build", "contextissue")
    assert done.error["where"]["file"] == ".dockerignore"


def test_an_ignore_file_beside_the_dockerfile_may_not_leave_the_source(resolve):
    done = resolve({"Dockerfile": FROM, "Dockerfile.dockerignore": "->/etc/passwd"}).failed("build", "contextissue")
    assert b"root:" not in done.out


def test_special_files_are_noted(resolve):
    resolve.source.mkdir()
    os.mkfifo(resolve.source / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        old = os.getcwd()
        os.chdir(resolve.source)
        listening.bind("socket")
        os.chdir(old)
    done = resolve({"Dockerfile": FROM + "COPY . /\n"}, "--list-context").succeeded()
    assert "1 pipes" in warnings(done)["contextspecial"]["message"]
    assert done.log == "Dockerfile\npipe\n"


def test_a_large_tree_is_walked(resolve):
    for folder in range(100):
        (resolve.source / f"d{folder}").mkdir(parents=True)
        for file in range(200):
            (resolve.source / f"d{folder}" / f"f{file}.c").touch()
    ignore = "".join(f"**/nothing{number}*\n" for number in range(50)) + "d1*/*5.c\n"
    done = resolve({"Dockerfile": FROM + "COPY . /\n", ".dockerignore": ignore}).succeeded()
    assert done.handoff("plan")["context-files"] == 20002 - 11 * 20


# Where the Dockerfile is


@pytest.mark.parametrize("options, expected", [
    ("", "Dockerfile"), ("--context=.", "Dockerfile"), ("--context=/", "Dockerfile"), ("--context=/sub/", "sub/Dockerfile"),
    ("--context=sub", "sub/Dockerfile"), ("--context=only", "only/Containerfile"),
    ("--context=folder", "folder/Containerfile"), ("--context=sub/../only", "only/Containerfile"),
    ("--dockerfile=./Dockerfile --context=.", "Dockerfile"), ("--dockerfile=/sub/Dockerfile", "sub/Dockerfile"),
    ("--dockerfile=other.file --context=sub", "sub/other.file"), ("--dockerfile=link", "link"),
    ("--dockerfile=/other.file --context=/sub", "sub/other.file"),
    ("--dockerfile=sub/Dockerfile --context=sub", "sub/Dockerfile"),
    ("--dockerfile=../sub/other.file --context=only", "sub/other.file")])
def test_the_dockerfile_is_found(resolve, options, expected):
    files = {"Dockerfile": FROM, "sub/Dockerfile": FROM, "sub/other.file": FROM, "only/Containerfile": FROM,
             "link": "->sub/Dockerfile", "folder/Dockerfile/x": "", "folder/Containerfile": FROM}
    done = resolve(files, *options.split()).succeeded()
    assert done.handoff("plan")["dockerfile"] == expected
    assert "dockerfileambiguous" not in warnings(done)


def test_a_name_that_means_two_files_is_a_warning(resolve):
    files = {"Dockerfile": FROM + "LABEL root=yes\n", "sub/Dockerfile": FROM}
    done = resolve(files, "--context=sub", "--dockerfile=Dockerfile").succeeded()
    assert done.handoff("plan")["dockerfile"] == "Dockerfile"
    assert "sub/Dockerfile" in warnings(done)["dockerfileambiguous"]["message"]


@pytest.mark.parametrize("files, options, tried, hint", [
    ({"x": ""}, [], "tried Dockerfile, Containerfile", "name it with --dockerfile"),
    ({"dockerfile": FROM}, [], "tried Dockerfile", "did you mean dockerfile?"),
    ({"Dockerfile.prod": FROM}, [], "tried Dockerfile", "did you mean Dockerfile.prod?"),
    ({"app/Dockerfile": FROM}, [], "tried Dockerfile", "there is app/Dockerfile"),
    ({"sub/x": ""}, ["--context=sub"], "tried sub/Dockerfile, sub/Containerfile", "--dockerfile"),
    ({"sub/Dockerfile": FROM}, ["--context=sub", "--dockerfile=Dokerfile"], "tried Dokerfile, sub/Dokerfile", "--dockerfile"),
    ({"build.Dockerfile": FROM}, ["--dockerfile=built.Dockerfile"], "tried built.Dockerfile", "did you mean build.Dockerfile?"),
    ({"Dockerfile/x": ""}, [], "is a directory", "--dockerfile"),
    ({"x": ""}, ["--dockerfile=x/Dockerfile"], "tried x/Dockerfile", "")])
def test_a_missing_dockerfile_says_where_it_was_looked_for(resolve, files, options, tried, hint):
    done = resolve(files, *options).failed("build", "dockerfileissue")
    assert tried in done.error["message"]
    assert hint in done.error["hint"]

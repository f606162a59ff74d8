"""resolve: finding and understanding the Dockerfile; no network in these."""


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
    done = slipway("resolve")
    assert done.exit in (2, 16), done.story()
    assert done.end["status"] == "failed"

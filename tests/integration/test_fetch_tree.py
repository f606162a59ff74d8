"""What of a commit's tree is written and how: .gitattributes and sparse checkouts, held against real git."""

import subprocess

import pytest

SAFE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": "/usr/bin:/bin"}


def git(tree, *arguments):
    done = subprocess.run(["git", "-C", str(tree), *map(str, arguments)], capture_output=True, text=True, env=SAFE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def content(tree):
    """Every file's path and bytes, without .git."""
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(tree).parts}


def notes(done):
    return [warning["message"] for warning in done.of("warning") if warning["code"] == "fetchnote"]


@pytest.fixture
def same_as_git(slipway, git_server, tmp_path):
    """same_as_git(repository, *options) → fetched, and every byte is what git's own checkout writes."""

    def check(repository, *options, sparse=()):
        done = slipway("fetch", f"--url={git_server.url}/{repository.name}.git", *options).succeeded()
        tree, theirs = slipway.state / "source", tmp_path / "theirs"
        git(tmp_path, "clone", "-q", "--no-checkout", repository.bare, theirs)
        if sparse:
            git(theirs, "sparse-checkout", "set", "--cone", *sparse)
        git(theirs, "checkout", "-q", "main")
        assert content(tree) == content(theirs)
        # What is stored with CR LF and is text now counts as changed for git as well, as soon as it looks.
        status = git(tree, "status", "--porcelain").splitlines()
        assert not [line for line in status if "mixed" not in line], status
        return done, tree

    return check


TEXT, MIXED, BINARY, CR = b"one\ntwo\n$Id$\n", b"one\r\ntwo\n", b"one\0two\n", b"one\rtwo\n"
FILES = {f"{folder}{kind}.{end}": body for folder in ("", "sub/", "sub/deep/", "other/")
         for kind, body in (("text", TEXT), ("mixed", MIXED), ("binary", BINARY), ("cr", CR), ("empty", b""))
         for end in ("txt", "bat", "png", "c", "none")}
ATTRIBUTES = {
    "line ends": {".gitattributes": "*.txt text eol=lf\n*.bat text eol=crlf\n*.c eol=crlf\n*.png binary\n"},
    "guessed": {".gitattributes": "* text=auto eol=crlf\n*.png -text\n"},
    "nearest wins": {".gitattributes": "*.txt text eol=crlf\n", "sub/.gitattributes": "*.txt -text\ntext.c eol=crlf\n",
                     "sub/deep/.gitattributes": "*.txt text eol=crlf\n*.none !text\n"},
    "last line wins": {".gitattributes": "*.txt eol=crlf\n*.txt eol=lf\ntext.* eol=crlf\n*.bat eol=crlf -text\n"},
    "macros": {".gitattributes": "[attr]dos text eol=crlf\n[attr]unix dos eol=lf\n*.bat dos\n*.txt unix\n*.png dos binary\n"},
    "macros below the root": {"sub/.gitattributes": "[attr]dos text eol=crlf\n*.bat dos\n"},
    "patterns": {".gitattributes": "/text.txt eol=crlf\nsub/**/*.bat eol=crlf\n**/deep/*.c eol=crlf\nother/ eol=crlf\n"
                                   "s?b/*.none eol=crlf\n[a-o]*/text.txt eol=crlf\n\"other/te\\170t.bat\" eol=crlf\n"
                                   "!text.c eol=crlf\nsub/** ident\n"},
    "old names": {".gitattributes": "*.txt crlf\n*.bat crlf eol=crlf\n*.c -crlf eol=crlf\n*.none crlf=input eol=crlf\n"},
    "ident": {".gitattributes": "*.txt ident\n*.bat ident text eol=crlf\n*.c -ident\n"},
    "no effect": {".gitattributes": "*.txt export-ignore diff merge=ours whitespace linguist-vendored\n"},
    "nonsense": {".gitattributes": "\n#\n*.txt\n  * eol=\n*.bat text eol=CRLF\n\"*.c eol=crlf\n*.none =x\n- -\n"},
    "byte order mark": {".gitattributes": "\ufeff*.txt eol=crlf\n"},
}


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_content_is_converted_as_git_does_it(make_repository, same_as_git, kind):
    repository = make_repository()
    # Written past git's own conversions, so that what is stored is what stands above.
    entries = []
    for path, body in {**FILES, **{path: text.encode() for path, text in ATTRIBUTES[kind].items()}}.items():
        (repository.tree / "blob").write_bytes(body)
        blob = repository.git("hash-object", "-w", "--no-filters", "blob")
        entries.append(f"100644 {blob}\t{path}")
    (repository.tree / "blob").unlink()
    repository.git("rm", "-q", "-r", "--cached", ".")
    repository.git("update-index", "--index-info", stdin="\n".join(entries) + "\n")
    repository.git("commit", "-q", "-m", kind)
    repository.publish()
    same_as_git(repository)


def test_filters_are_named_and_not_run(slipway, make_repository, same_as_git, tmp_path):
    pwned = tmp_path / "pwned"
    repository = make_repository(files={"a.x": "a\n", "b.y": "b\n", "c.z": "c\n".encode("utf-16"),
                                        ".gitattributes": "*.x filter=evil\n*.y filter=other\n"
                                                          "*.z working-tree-encoding=UTF-16\n"})
    (slipway.home / ".gitconfig").write_text(f'[filter "evil"]\n\tsmudge = touch {pwned}\n\trequired = true\n')
    repository.git("config", "filter.evil.smudge", f"touch {pwned}", at=repository.bare)
    done = slipway("fetch", f"--url={repository.bare}").succeeded()
    said = " ".join(notes(done))
    assert "evil, other" in said and "UTF-16" in said
    assert (slipway.state / "source/a.x").read_text() == "a\n" and not pwned.exists()


def test_attributes_of_the_machine_have_no_effect(slipway, make_repository, git_server):
    make_repository(files={"a.txt": "a\nb\n"})
    (slipway.home / ".config/git").mkdir(parents=True)
    (slipway.home / ".config/git/attributes").write_text("* text eol=crlf\n")
    slipway("fetch", f"--url={git_server.url}/project.git", environment={"XDG_CONFIG_HOME": f"{slipway.home}/.config"})
    assert (slipway.state / "source/a.txt").read_bytes() == b"a\nb\n"


# Sparse

LAYOUT = {path: f"{path}\n" for path in ("top", "a/file", "a/b/file", "a/b/c/file", "a/d/file", "ab/file", "e/file", "e/f/g/h")}


@pytest.mark.parametrize("directories", [["a/b"], ["a"], ["e/f/g"], ["a/b", "e"], ["a/b", "a"], ["/a/d/", "./ab"]])
def test_a_sparse_checkout_is_git_s_cone(make_repository, same_as_git, directories):
    repository = make_repository(files=LAYOUT)
    clean = [path.strip("/").removeprefix("./") for path in directories]
    done, tree = same_as_git(repository, *(f"--sparse={path}" for path in directories), sparse=clean)
    listed = git(tree, "sparse-checkout", "list").split()
    assert set(listed) <= set(clean) and listed
    assert not notes(done)
    git(tree, "sparse-checkout", "disable")  # the rest is there to be had
    assert (tree / "e/f/g/h").exists() and git(tree, "status", "--porcelain") == ""


def test_a_sparse_directory_that_is_not_there_is_told(slipway, make_repository, git_server):
    make_repository(files=LAYOUT)
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--sparse=a", "--sparse=nothing/here").succeeded()
    assert "nothing/here" in notes(done)[0] and (slipway.state / "source/a/b/c/file").exists()


@pytest.mark.parametrize("path", ["..", "a/../..", "/", "", "a\nb"])
def test_a_sparse_path_must_name_a_directory_of_the_tree(slipway, make_repository, git_server, path):
    make_repository(files=LAYOUT)
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--sparse", path)
    if path:
        done.failed("usage", "missingorinvalidargument")
    else:  # Tekton's way of giving nothing
        assert (done.succeeded().state / "source/e/f/g/h").exists()


def test_attributes_hold_in_a_sparse_checkout_too(make_repository, same_as_git):
    repository = make_repository(files={**LAYOUT, ".gitattributes": "a/b/** text eol=crlf\n",
                                        "e/.gitattributes": "* text eol=crlf\n"})
    _, tree = same_as_git(repository, "--sparse=a/b", sparse=["a/b"])
    assert (tree / "a/b/file").read_bytes() == b"a/b/file\r\n" and not (tree / "e").exists()


def test_a_context_that_was_left_out_is_not_found(slipway, make_repository, git_server):
    make_repository(files={**LAYOUT, "e/Dockerfile": "FROM scratch\n"})
    slipway("fetch", f"--url={git_server.url}/project.git", "--sparse=a").succeeded()
    done = slipway("resolve", "--context=e").failed("build")
    assert "e" in done.error["message"]


def test_submodules_outside_the_cone_stay_out(slipway, make_repository, git_server):
    inner, outer = make_repository("inner"), make_repository(files=LAYOUT)
    modules = ""
    for path in ("a/b/sub", "e/sub"):
        outer.git("update-index", "--add", "--cacheinfo", f"160000,{inner.head()},{path}")
        modules += f'[submodule "{path}"]\n\tpath = {path}\n\turl = ../inner.git\n'
    (outer.tree / ".gitmodules").write_text(modules)
    outer.git("add", ".gitmodules")
    outer.git("commit", "-q", "-m", "submodules")
    outer.publish()
    slipway("fetch", f"--url={git_server.url}/project.git", "--sparse=a/b").succeeded()
    tree = slipway.state / "source"
    assert (tree / "a/b/sub/data").exists() and not (tree / "e").exists()
    assert git(tree, "status", "--porcelain") == ""

"""Git LFS: what `git lfs` itself has committed and pushed comes back as content."""

import hashlib
import os
import subprocess

import pytest
import servers

FILTERS = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
TOKEN = "to-ken-4711-lfs"


def oid(content):
    return hashlib.sha256(content).hexdigest()


def payload(name, size=100_000):
    """Bytes that differ by name and by place."""
    return (hashlib.sha512(name.encode()).digest() * (size // 64 + 1))[:size]


class Project:
    """A repository whose large files real git-lfs has stored on `forge`."""

    def __init__(self, repository, forge):
        self.repository, self.forge = repository, forge
        self.url = f"{forge.url}/{repository.name}.git"
        repository.git("lfs", "install", "--local", "--skip-repo")
        repository.git("config", "core.hooksPath", "/dev/null")  # objects are pushed by push(), to a server

    def commit(self, files, message="change"):
        commit = self.repository.commit(files, message)
        self.push()
        return commit

    def push(self):
        saved, self.forge.authenticate_header = self.forge.authenticate_header, {}
        users, self.forge.users = self.forge.users, {}
        self.repository.git("-c", f"lfs.url={self.forge.url}/any.git/info/lfs", "-c", "lfs.locksverify=false",
                            "lfs", "push", "--all", self.repository.bare)
        self.forge.authenticate_header, self.forge.users = saved, users
        self.forge.asked.clear()
        self.forge.batches.clear()


@pytest.fixture
def forge(git_root):
    with servers.Lfs(git_root) as server:
        yield server


@pytest.fixture
def store(git_root):
    """Another host, for downloads only."""
    with servers.Lfs(git_root) as server:
        yield server


@pytest.fixture
def project(make_repository, forge):
    """project({path: content}) → those files, of which *.bin are in LFS."""

    def make(files, name="project", attributes=FILTERS):
        repository = make_repository(name, {"Dockerfile": "FROM scratch\n"})
        made = Project(repository, forge)
        made.commit({".gitattributes": attributes, **files})
        return made

    return make


def tree(slipway):
    return slipway.state / "source"


def tree_is_empty(slipway):
    return not tree(slipway).exists() or not any(tree(slipway).iterdir())


def git_at(directory, *arguments, **environment):
    done = subprocess.run(["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *arguments], cwd=directory,
                          capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null",
                               "GIT_CONFIG_SYSTEM": "/dev/null", **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pointers_become_content(slipway, project):
    big, same = payload("big", 3_000_000), payload("same")
    made = project({"big.bin": big, "a/one.bin": same, "b/two.bin": same, "b/run.bin": payload("run"),
                    "empty.bin": b"", "plain.txt": "plain\n", "name with ünicode.bin": payload("name")})
    made.repository.git("update-index", "--chmod=+x", "b/run.bin")
    (made.repository.tree / "b/run.bin").chmod(0o755)
    made.commit({})
    done = slipway("fetch", f"--url={made.url}").succeeded()
    source = tree(slipway)
    assert (source / "big.bin").read_bytes() == big
    assert (source / "a/one.bin").read_bytes() == (source / "b/two.bin").read_bytes() == same
    assert (source / "name with ünicode.bin").read_bytes() == payload("name")
    assert (source / "empty.bin").read_bytes() == b"" and (source / "plain.txt").read_text() == "plain\n"
    assert (source / "b/run.bin").stat().st_mode & 0o111 and not (source / "big.bin").stat().st_mode & 0o111
    # One object, one download; nothing is left over; progress ends at all of it.
    assert len(made.forge.downloads(oid(same))) == 1
    assert not [path for path in source.rglob("*slipway*")] and not (source / ".git" / "lfs").exists()
    progress = [each for each in done.of("progress") if each["id"] == "lfs"]
    total = len(big) + len(same) + 2 * len(payload("run"))
    assert progress and (progress[-1]["current"], progress[-1]["total"], progress[-1]["unit"]) == (total, total, "bytes")
    assert made.forge.batches[0]["ref"] == {"name": "refs/heads/main"}
    assert made.forge.batches[0]["transfers"] == ["basic"] and made.forge.batches[0]["hash_algo"] == "sha256"


def test_git_finds_the_tree_unchanged(slipway, project):
    made = project({"big.bin": payload("big"), "a/one.bin": payload("one"), "run.bin": payload("run")})
    slipway("fetch", f"--url={made.url}").succeeded()
    # Without git-lfs the index alone says so; with it, its filter agrees, and it sees content, not pointers.
    assert git_at(tree(slipway), "status", "--porcelain") == ""
    with_lfs = ["-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.smudge=git-lfs smudge -- %f",
                "-c", "filter.lfs.required=true"]
    assert git_at(tree(slipway), *with_lfs, "status", "--porcelain") == ""
    listed = git_at(tree(slipway), *with_lfs, "lfs", "ls-files").splitlines()
    assert len(listed) == 3 and all(line.split()[1] == "*" for line in listed), listed
    os.utime(tree(slipway) / "big.bin")
    assert git_at(tree(slipway), *with_lfs, "status", "--porcelain") == ""


def test_a_submodule_s_pointers_become_content_from_its_own_server(slipway, project):
    inner, outer = project({"big.bin": payload("inner")}, name="inner"), project({"big.bin": payload("outer")})
    outer.repository.git("update-index", "--add", "--cacheinfo", f"160000,{inner.repository.head()},libs/inner")
    (outer.repository.tree / ".gitmodules").write_text('[submodule "x"]\n\tpath = libs/inner\n\turl = ../inner.git\n')
    outer.repository.git("add", ".gitmodules")
    outer.repository.git("commit", "-q", "-m", "submodule")
    outer.repository.publish()
    outer.push()
    outer.forge.users = {"ada": "pa-ss-wo-rd"}  # the URL's own credentials hold for both
    done = slipway("fetch", f"--url={outer.url.replace('http://', 'http://ada:pa-ss-wo-rd@')}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("outer")
    assert (tree(slipway) / "libs/inner/big.bin").read_bytes() == payload("inner")
    assert b"pa-ss-wo-rd" not in done.out
    assert git_at(tree(slipway), "status", "--porcelain") == ""


def test_pointers_stay_where_that_is_asked(slipway, project):
    made = project({"big.bin": payload("big")})
    done = slipway("fetch", f"--url={made.url}", "--lfs=false").succeeded()
    assert (tree(slipway) / "big.bin").read_text().startswith("version https://git-lfs.github.com/spec/v1\n")
    assert [warning["message"] for warning in done.of("warning")] == ["1 files are Git LFS pointers, not content"]
    assert not made.forge.asked


def test_a_repository_without_lfs_asks_nobody(slipway, make_repository, forge):
    make_repository(files={"a.bin": "version https://git-lfs.github.com/spec/v1\n", "Dockerfile": "FROM scratch\n"})
    slipway("fetch", f"--url={forge.url}/project.git").succeeded()
    assert not forge.asked


def test_what_is_no_pointer_stays_as_it_is(slipway, project):
    made = project({"big.bin": payload("big")})
    made.repository.git("config", "--unset-all", "filter.lfs.clean")
    made.repository.git("config", "--unset-all", "filter.lfs.process")
    made.repository.git("config", "filter.lfs.required", "false")
    made.commit({"small.bin": b"not a pointer\n", "almost.bin": b"version https://git-lfs.github.com/spec/v1\noid md5:1\n"})
    slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "small.bin").read_bytes() == b"not a pointer\n"
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")


def test_many_objects_come_in_batches(slipway, project):
    files = {f"d{n % 7}/{n}.bin": payload(str(n), 200 + n) for n in range(230)}
    made = project(files)
    slipway("fetch", f"--url={made.url}").succeeded()
    for path, content in files.items():
        assert (tree(slipway) / path).read_bytes() == content, path
    assert [len(batch["objects"]) for batch in made.forge.batches] == [100, 100, 30]


def test_a_server_that_wants_small_batches_gets_them(slipway, project):
    made = project({f"{n}.bin": payload(str(n), 300) for n in range(40)})
    made.forge.largest_batch = 15
    slipway("fetch", f"--url={made.url}").succeeded()
    assert max(len(batch["objects"]) for batch in made.forge.batches[2:]) <= 15
    assert (tree(slipway) / "39.bin").read_bytes() == payload("39", 300)


def test_a_cut_download_goes_on_where_it_was(slipway, project):
    content = payload("big", 900_000)
    made = project({"big.bin": content})
    made.forge.cuts[oid(content)] = [300_000, 200_000]
    done = slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == content
    ranges = [headers.get("range") for headers in made.forge.downloads()]
    assert ranges[0] is None and len(ranges) == 3
    starts = [int(each.removeprefix("bytes=").split("-")[0]) for each in ranges[1:]]
    assert 0 < starts[0] <= 300_000 and starts[0] < starts[1] <= 500_000
    assert "retry" in [warning["code"] for warning in done.of("warning")]


def test_a_server_without_ranges_begins_again(slipway, project):
    content = payload("big", 900_000)
    made = project({"big.bin": content})
    made.forge.cuts[oid(content)], made.forge.ranges = [300_000], False
    slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == content


@pytest.mark.parametrize("wrong", [lambda good: good[:-1] + b"?", lambda good: good + b"more", lambda good: good[:-500]],
                         ids=["other", "longer", "shorter"])
def test_other_bytes_are_never_taken(slipway, project, wrong):
    content = payload("big")
    made = project({"big.bin": content, "fine.bin": payload("fine")})
    made.forge.damaged[oid(content)] = [wrong(content)]
    slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == content
    made.forge.damaged[oid(content)] = [wrong(content)] * 9
    done = slipway("fetch", f"--url={made.url}", "--retries=1").failed("network", "gitfailure")
    assert "big.bin" in done.error["message"] and oid(content) in done.error["cause"]
    assert tree_is_empty(slipway)


@pytest.mark.parametrize("say", ["absent", "404", "410", "422"])
def test_an_object_the_server_has_not_got(slipway, project, say):
    content = payload("gone")
    made = project({"a/gone.bin": content, "fine.bin": payload("fine")})
    if say == "absent":
        made.forge.absent.add(oid(content))
    else:
        made.forge.errors[oid(content)] = (int(say), "the server's own words")
    done = slipway("fetch", f"--url={made.url}").failed("build", "gitcheckout")
    assert "a/gone.bin" in done.error["message"] and oid(content) in done.error["cause"] and done.error["hint"]
    assert say == "absent" or "the server's own words" in done.error["cause"]
    assert tree_is_empty(slipway)


@pytest.mark.parametrize("status, klass, code", [
    (403, "auth", "gitauth"), (404, "build", "gitfailure"), (422, "build", "gitfailure"), (429, "network", "gitfailure"),
    (500, "network", "gitfailure"), (501, "build", "gitfailure"), (503, "network", "gitfailure"),
    (507, "network", "gitfailure"), (509, "auth", "gitauth")])
def test_what_a_refused_batch_means(slipway, project, status, klass, code):
    made = project({"big.bin": payload("big")})
    made.forge.batch_faults = [status] * 9
    done = slipway("fetch", f"--url={made.url}", "--retries=0").failed(klass, code)
    assert f"told to say {status}" in done.error["cause"] and done.error["message"]
    assert len(made.forge.asked) == 1 and tree_is_empty(slipway)


def test_only_the_transient_is_tried_again(slipway, project):
    made = project({"big.bin": payload("big")})
    made.forge.batch_faults = [(429, {"Retry-After": "1"}), 503]
    made.forge.store_faults = [503, "reset"]
    slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")
    assert len(made.forge.downloads()) == 3
    made.forge.store_faults = [410] * 9
    made.forge.asked.clear()
    slipway("fetch", f"--url={made.url}").failed("build")
    assert len(made.forge.downloads()) == 1


def test_a_transient_error_of_one_object_is_asked_about_again(slipway, project):
    content = payload("big")
    made = project({"big.bin": content})
    made.forge.errors[oid(content)] = (503, "not now")
    done = slipway("fetch", f"--url={made.url}", "--retries=1").failed("network", "gitfailure")
    assert len(made.forge.batches) > 1 and "not now" in done.error["cause"]


def credentials(tmp_path, name="ada", password=TOKEN):
    directory = tmp_path / "credentials"
    directory.mkdir(exist_ok=True)
    (directory / "username").write_text(name)
    (directory / "password").write_text(password)
    return directory


def test_a_private_server_by_token(slipway, project, tmp_path):
    made = project({"big.bin": payload("big"), "two.bin": payload("two")})
    made.forge.users = {"ada": TOKEN}
    url = f"--url={made.url}"
    done = slipway("fetch", url, f"--basic-auth-dir={credentials(tmp_path)}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")
    assert TOKEN.encode() not in done.out + done.err
    with_password = made.url.replace("://", f"://ada:{TOKEN}@")
    done = slipway("fetch", f"--url={with_password}").succeeded()
    assert TOKEN.encode() not in done.out + done.err
    assert TOKEN not in (tree(slipway) / ".git" / "config").read_text()


def test_lfs_alone_may_refuse(slipway, project, tmp_path):
    made = project({"big.bin": payload("big")})
    made.forge.authenticate_header = {"Authorization": "never given"}
    done = slipway("fetch", f"--url={made.url}").failed("auth", "gitauth")
    assert "Git LFS" in done.error["message"] and tree_is_empty(slipway)
    done = slipway("fetch", f"--url={made.url}", f"--basic-auth-dir={credentials(tmp_path)}").failed("auth", "gitauth")
    assert TOKEN.encode() not in done.out + done.err


def test_another_host_gets_the_actions_headers_only(slipway, project, store, tmp_path):
    content = payload("big")
    made = project({"big.bin": content})
    secret = "Bearer storage-secret-0815"
    made.forge.users = {"ada": TOKEN}
    made.forge.store, store.objects = store.url, made.forge.objects
    made.forge.action_header = store.action_header = {"X-Token": secret}
    made.forge.query = "?X-Signature=signature-of-the-link-1234&X-Date=today"
    # The same server by another name is another host.
    made.forge.store = store.url.replace("127.0.0.1", "localhost")
    done = slipway("fetch", f"--url={made.url}", f"--basic-auth-dir={credentials(tmp_path)}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == content
    assert not made.forge.downloads() and len(store.downloads()) == 1
    assert "authorization" not in store.downloads()[0] and store.downloads()[0]["x-token"] == secret
    # Where the host refuses, nothing of what opens it is told.
    store.action_header = {"X-Token": "another"}
    refused = slipway("fetch", f"--url={made.url}", f"--basic-auth-dir={credentials(tmp_path)}").failed("auth", "gitauth")
    for each in (done, refused):
        for word in (b"storage-secret-0815", b"signature-of-the-link-1234", TOKEN.encode()):
            assert word not in each.out + each.err


def test_an_action_that_ran_out_is_asked_for_again(slipway, project):
    made = project({"big.bin": payload("big")})
    made.forge.expires_in = 1
    slipway("fetch", f"--url={made.url}").succeeded()
    assert len(made.forge.batches) == 2
    made.forge.expires_in, made.forge.store_faults = 3600, [403]
    made.forge.batches.clear()
    slipway("fetch", f"--url={made.url}").succeeded()
    assert len(made.forge.batches) == 2


def test_lfsconfig_names_the_server(slipway, project, store):
    made = project({"big.bin": payload("big")})
    store.objects = made.forge.objects
    for key in ("lfs.url", "remote.origin.lfsurl"):
        path = made.repository.tree / ".lfsconfig"
        path.unlink(missing_ok=True)
        made.repository.git("config", "--file", ".lfsconfig", key, f"{store.url}/elsewhere/lfs/")
        made.commit({})
        store.asked.clear()
        slipway("fetch", f"--url={made.url}").succeeded()
        assert (tree(slipway) / "big.bin").read_bytes() == payload("big")
        assert store.asked[0][1] == "/elsewhere/lfs/objects/batch" and not made.forge.asked


def test_credentials_stay_with_their_host(slipway, project, store, tmp_path):
    made = project({"big.bin": payload("big")})
    store.objects, store.users = made.forge.objects, {"ada": TOKEN}
    elsewhere = store.url.replace("127.0.0.1", "localhost")
    made.commit({".lfsconfig": f"[lfs]\n\turl = {elsewhere}/x.git/info/lfs\n"})
    # A pair without a host is for the repository's host …
    slipway("fetch", f"--url={made.url}", f"--basic-auth-dir={credentials(tmp_path)}").failed("auth", "gitauth")
    assert all("authorization" not in headers for _, _, headers in store.asked)
    # … and one for this host is for this host.
    (slipway.home / ".git-credentials").write_text(f"{elsewhere.replace('://', f'://ada:{TOKEN}@')}\n")
    slipway("fetch", f"--url={made.url}").succeeded()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc", "ftp://example.invalid/x", "-oProxyCommand=x", "ext::sh -c x"])
def test_lfsconfig_cannot_lead_anywhere(slipway, project, url):
    made = project({"big.bin": payload("big")})
    made.commit({".lfsconfig": f'[lfs]\n\turl = "{url}"\n'})
    done = slipway("fetch", f"--url={made.url}").failed("build", "gitcheckout")
    assert "lfs.url" in done.error["message"] + done.error["hint"] and not made.forge.asked


def test_lfsconfig_cannot_read_files(slipway, project, tmp_path):
    made = project({"big.bin": payload("big")})
    other = tmp_path / "other-config"
    other.write_text("[lfs]\n\turl = http://127.0.0.1:9/never\n")
    made.commit({".lfsconfig": f"[include]\n\tpath = {other}\n"})
    slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")


def test_lfsconfig_leaves_files_out(slipway, project):
    made = project({"big.bin": payload("big"), "huge/a.bin": payload("a"), "huge/b/c.bin": payload("c")})
    made.commit({".lfsconfig": "[lfs]\n\tfetchexclude = huge/**, other\n"})
    done = slipway("fetch", f"--url={made.url}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")
    assert (tree(slipway) / "huge/b/c.bin").read_text().startswith("version ")
    assert any("2 files stay" in warning["message"] for warning in done.of("warning"))


def test_https_is_never_left_for_http(slipway, git_root, make_repository, authority, forge):
    with servers.Lfs(git_root, tls=authority.issue("lfs")) as secure:
        repository = make_repository("project", {"Dockerfile": "FROM scratch\n"})
        made = Project(repository, forge)
        made.commit({".gitattributes": FILTERS, "big.bin": payload("big")})
        secure.objects = forge.objects
        url = [f"--url={secure.url}/project.git", f"--ca-file={authority.certificate}"]
        slipway("fetch", *url).succeeded()
        secure.store = forge.url
        done = slipway("fetch", *url).failed("build", "gitfailure")
        assert "https" in done.error["message"] and not forge.downloads()


def test_a_repository_that_moved(slipway, project, git_root):
    made = project({"big.bin": payload("big")})
    with servers.Lfs(git_root, redirects={"/old.git": made.url}) as old:
        slipway("fetch", f"--url={old.url}/old.git").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")


def test_a_pointer_with_extensions_is_refused(slipway, project):
    made = project({"big.bin": payload("big")})
    pointer = (f"version https://git-lfs.github.com/spec/v1\next-0-crypt sha256:{'1' * 64}\noid sha256:{'2' * 64}\n"
               "size 12\n")
    made.repository.git("config", "--unset-all", "filter.lfs.process")
    made.repository.git("config", "filter.lfs.clean", "cat")
    made.repository.commit({"x.bin": pointer})
    done = slipway("fetch", f"--url={made.url}").failed("build", "gitcheckout")
    assert "crypt" in done.error["message"] and "x.bin" in done.error["message"]


def test_a_volume_too_small_for_it(slipway, project, small):
    made = project({"big.bin": payload("big", 30_000_000)})
    done = slipway("fetch", f"--url={made.url}", f"--into={small}/tree").failed("resource", "outofdisk")
    assert "MiB" in done.error["message"] and not made.forge.asked


def test_a_stop_is_heard_in_the_middle_of_a_body(slipway, project):
    content = payload("big")
    made = project({"big.bin": content, "two.bin": payload("two")})
    made.forge.stalled.add(oid(content))
    running = slipway.start("fetch", f"--url={made.url}")
    assert made.forge.stalling.wait(20)
    stopped = running.signal()
    done = running.finish().cancelled()
    assert done.took(stopped) < 8 and tree_is_empty(slipway)


def authenticator(sshd, script):
    """Lets the ssh server's forced command answer git-lfs-authenticate."""
    shell = sshd.work / "git-only"
    rest = shell.read_text().split("\n", 1)[1]
    shell.write_text(f"#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in git-lfs-authenticate*)\n{script}\nexit;; esac\n{rest}")


def test_over_ssh_the_server_says_where(slipway, project, sshd):
    made = project({"big.bin": payload("big")})
    secret = "RemoteAuth ssh-lfs-secret-99"
    made.forge.authenticate_header = {"Authorization": secret}
    log = sshd.work / "asked"
    authenticator(sshd, f'echo "$SSH_ORIGINAL_COMMAND" >>{log}\n'
                        f"""printf '{{"href": "{made.forge.url}/any/lfs", "header": {{"Authorization": "{secret}"}}, """
                        """"expires_in": 3600, "expires_at": "0001-01-01T00:00:00Z"}'""")
    bare = made.repository.bare
    done = slipway("fetch", f"--url={sshd.url}{bare}", f"--ssh-dir={sshd.ssh_dir}").succeeded()
    assert (tree(slipway) / "big.bin").read_bytes() == payload("big")
    assert log.read_text() == f"git-lfs-authenticate {bare} download\n"
    assert b"ssh-lfs-secret-99" not in done.out + done.err


def test_over_ssh_refusals_are_told(slipway, project, sshd):
    made = project({"big.bin": payload("big")})
    options = [f"--url={sshd.url}{made.repository.bare}", f"--ssh-dir={sshd.ssh_dir}", "--retries=0"]
    authenticator(sshd, "echo 'this key may not' >&2; exit 3")
    done = slipway("fetch", *options).failed("auth", "gitauth")
    assert "this key may not" in done.error["cause"] and tree_is_empty(slipway)
    authenticator(sshd, "echo 'no JSON at all'")
    slipway("fetch", *options).failed("build", "gitfailure")
    authenticator(sshd, "head -c 2000000 /dev/zero")
    slipway("fetch", *options).failed("build", "gitfailure")
    # A server without the command: its https address, where nobody listens here.
    authenticator(sshd, "exit 127")
    slipway("fetch", *options).failed("network", "gitfailure")

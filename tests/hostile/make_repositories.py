"""Repositories made to do harm: objects no honest git writes, made with `git hash-object --literally`.

`REPOSITORIES` maps a name to a Case: a function that fills a bare repository (given as Maker) and returns the object main
is to name, and what fetch has to do: "refused", or "kept" (fetched, and whatever it is stays inside the tree).

As a program, for looking at them:  python3 tests/hostile/make_repositories.py DIRECTORY
"""

import collections
import os
import subprocess
import sys
from pathlib import Path

Case = collections.namedtuple("Case", "make outcome")
REPOSITORIES = {}
FILE, EXECUTABLE, LINK, TREE, GITLINK = "100644", "100755", "120000", "40000", "160000"
IDENTITY = "Mallory <mallory@example.com> 1767225600 +0000"
# Made-up author and committer; nothing of the machine's configuration is read.
ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GIT_CONFIG_GLOBAL": "/dev/null",
               "GIT_CONFIG_SYSTEM": "/dev/null"}


class Maker:
    """Writes objects into one bare repository."""

    def __init__(self, bare: Path):
        self.bare = Path(bare)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True, env=ENVIRONMENT)
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.payload = self.blob(b"#!/bin/sh\ntouch pwned\n")
        self.link = self.blob(b"../outside")

    def git(self, *arguments, stdin=b""):
        return subprocess.run(["git", "-C", str(self.bare), *arguments], input=stdin, check=True, stdout=subprocess.PIPE,
                              env=ENVIRONMENT).stdout.decode().strip()

    def write(self, kind, content):
        return self.git("hash-object", "--literally", "-w", "-t", kind, "--stdin", stdin=content)

    def blob(self, content):
        return self.write("blob", content)

    def tree(self, *entries):
        """Entries (mode, name, id) exactly as given: neither sorted nor checked."""
        return self.write("tree", b"".join(mode.encode() + b" " + (name if isinstance(name, bytes) else name.encode()) + b"\0"
                                           + bytes.fromhex(one) for mode, name, one in entries))

    def commit(self, tree):
        return self.write("commit", f"tree {tree}\nauthor {IDENTITY}\ncommitter {IDENTITY}\n\nhostile\n".encode())

    def hooks(self):
        """A tree that, called .git, would be a repository with a hook."""
        return self.tree((TREE, "hooks", self.tree((EXECUTABLE, "post-checkout", self.payload))))


def case(outcome, name=None):
    def keep(make):
        REPOSITORIES[name or make.__name__] = Case(make, outcome)
        return make

    return keep


def build(name, bare):
    maker = Maker(bare)
    found = REPOSITORIES[name].make(maker)
    commit = maker.commit(found) if maker.git("cat-file", "-t", found) == "tree" else found
    (Path(bare) / "refs/heads/main").write_text(f"{commit}\n")  # update-ref would look at it


# Names

FORBIDDEN = {"empty": b"", "dot": b".", "dots": b"..", "slash": b"a/b", "absolute": b"/escaped", "up": b"../escaped",
             "git": b".git", "git-upper": b".GIT", "git-mixed": b".Git", "ntfs-short": b"git~1", "ntfs-short-upper": b"GIT~1",
             "ntfs-space": b".git ", "ntfs-dots": b".git...", "ntfs-stream": b".git::$INDEX_ALLOCATION",
             "hfs-ignorable": ".g\u200cit".encode(), "hfs-joiner": ".git\u200d".encode()}
for key, raw in FORBIDDEN.items():
    case("refused", f"file-{key}")(lambda maker, raw=raw: maker.tree((FILE, raw, maker.payload)))
    case("refused", f"directory-{key}")(lambda maker, raw=raw: maker.tree((TREE, raw, maker.hooks())))
    case("refused", f"link-{key}")(lambda maker, raw=raw: maker.tree((LINK, raw, maker.link)))
    case("refused", f"gitlink-{key}")(lambda maker, raw=raw: maker.tree((GITLINK, raw, "1" * 40)))

ODD = {"newline": b"a\nb", "escape": b"\x1b[2J", "latin": b"\xe9t\xe9", "backslash": b"a\\b", "colon": b"C:x", "dash": b"-rf",
       "long": b"n" * 255, "dotgit-inside": b"x.git", "gitmodules-like": b"gitmod~1"}
for key, raw in ODD.items():
    case("either", f"odd-{key}")(lambda maker, raw=raw: maker.tree((FILE, raw, maker.payload)))


@case("refused")
def a_name_longer_than_a_file_system_takes(maker):
    return maker.tree((FILE, "n" * 256, maker.payload))


@case("refused")
def git_directory_further_down(maker):
    return maker.tree((TREE, "a", maker.tree((TREE, "b", maker.tree((TREE, ".git", maker.hooks()))))))


# One name twice


def _twice(first, second):
    def make(maker):
        kinds = {"link": (LINK, maker.link), "file": (FILE, maker.payload), "gitlink": (GITLINK, "1" * 40),
                 "tree": (TREE, maker.tree((FILE, "pwned", maker.payload)))}
        return maker.tree(*((kinds[kind][0], "same", kinds[kind][1]) for kind in (first, second)))

    return make


for one in ("link", "file", "gitlink", "tree"):
    for two in ("link", "file", "gitlink", "tree"):
        case("refused", f"twice-{one}-{two}")(_twice(one, two))


@case("kept")
def link_and_directory_that_differ_in_case(maker):
    return maker.tree((TREE, "A", maker.tree((FILE, "pwned", maker.payload))), (LINK, "a", maker.link))


@case("refused")
def entries_out_of_order(maker):
    return maker.tree((FILE, "b", maker.payload), (FILE, "a", maker.payload))


# Links


@case("kept")
def links_that_lead_out(maker):
    return maker.tree((LINK, "absolute", maker.blob(b"/etc/passwd")), (LINK, "loop", maker.blob(b"loop")),
                      (LINK, "self", maker.blob(b".")), (LINK, "up", maker.blob(b"../../../..")))


@case("refused")
def a_link_with_a_target_longer_than_a_path(maker):
    return maker.tree((LINK, "long", maker.blob(b"x" * 5000)))


@case("either")
def a_link_with_an_empty_target(maker):
    return maker.tree((LINK, "empty", maker.blob(b"")))


@case("either")
def a_link_with_a_zero_byte(maker):
    return maker.tree((LINK, "zero", maker.blob(b"a\0b")))


@case("either")
def attributes_that_are_a_link(maker):
    return maker.tree((LINK, ".gitattributes", maker.blob(b"/etc/passwd")), (FILE, "a", maker.payload))


# Modes


@case("kept")
def modes_nobody_uses(maker):
    return maker.tree(("100664", "group", maker.payload), ("100777", "wide", maker.payload))


for key, mode in {"setuid": "104755", "sticky": "101755", "zero": "0", "fifo": "10000", "device": "60000",
                  "huge": "7777777777777777777777"}.items():
    case("either", f"mode-{key}")(lambda maker, mode=mode: maker.tree((mode, "odd", maker.payload)))


# Objects that are something else


@case("refused")
def a_commit_whose_tree_is_a_blob(maker):
    return maker.commit(maker.payload)


@case("refused")
def a_commit_without_tree(maker):
    return maker.write("commit", f"author {IDENTITY}\ncommitter {IDENTITY}\n\nno tree\n".encode())


@case("refused")
def a_directory_that_is_a_blob(maker):
    return maker.tree((TREE, "directory", maker.payload))


@case("refused")
def a_file_that_is_a_tree(maker):
    return maker.tree((FILE, "file", maker.tree()))


@case("refused")
def a_tree_cut_off(maker):
    return maker.write("tree", b"100644 a\0" + b"1" * 19)


@case("kept")
def a_tag_of_a_tag_of_a_tag(maker):
    found = maker.commit(maker.tree((FILE, "a", maker.payload)))
    kind = "commit"
    for _ in range(100):
        found = maker.write("tag", f"object {found}\ntype {kind}\ntag x\ntagger {IDENTITY}\n\nx\n".encode())
        kind = "tag"
    # A branch cannot name a tag: the server would be ill, so a commit it is.
    maker.git("update-ref", "refs/tags/chain", found)
    return maker.git("rev-parse", f"{found}^{{commit}}")


# Size


@case("refused")
def ten_thousand_levels(maker):
    tree = maker.tree((FILE, "f", maker.payload))
    with subprocess.Popen(["git", "-C", str(maker.bare), "mktree", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=ENVIRONMENT) as process:
        for _ in range(10_000):
            process.stdin.write(f"040000 tree {tree}\td\n\n".encode())
            process.stdin.flush()
            tree = process.stdout.readline().decode().strip()
        process.stdin.close()
    return tree


@case("refused")
def ten_to_the_eighth_files_in_a_few_bytes(maker):
    tree = maker.tree(*((FILE, f"f{n}", maker.payload) for n in range(100)))
    for _ in range(3):
        tree = maker.tree(*((TREE, f"d{n:02}", tree) for n in range(100)))
    return tree


@case("kept")
def twenty_thousand_entries_in_one_directory(maker):
    return maker.tree(*((FILE, f"f{n:05}", maker.payload) for n in range(20_000)))


@case("refused")
def attributes_without_end(maker):
    return maker.tree((FILE, ".gitattributes", maker.blob(b"*.x text\n" * 100_000)), (FILE, "a", maker.payload))


@case("refused")
def attributes_larger_than_a_megabyte(maker):
    return maker.tree((FILE, ".gitattributes", maker.blob(b"# " + b"x" * (1 << 20))), (FILE, "a", maker.payload))


@case("kept")
def attributes_that_name_programs(maker):
    return maker.tree((FILE, ".gitattributes", maker.blob(b"* filter=evil diff=evil merge=evil\n")),
                      (FILE, "a", maker.payload))


# Text


@case("kept")
def a_commit_that_tells_lies(maker):
    tree = maker.tree((FILE, "a", maker.payload))
    return maker.write("commit", f"tree {tree}\n".encode() + b"author \x1b[2JMallory\xff <m> 99999999999999 +9999\n"
                       b"committer \x1b]0;x\x07 <c> -5 +0000\n\n" + b"x" * 200_000 + b"\n\x01\x1b[31m")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    for name in REPOSITORIES:
        build(name, Path(sys.argv[1]) / f"{name}.git")
    print(f"{len(REPOSITORIES)} repositories in {sys.argv[1]}")


if __name__ == "__main__":
    main()

"""Four repositories of four shapes, the same every time: python3 -m bench.repositories DIRECTORY

few-large      six files of 4 MB, some history
many-small     8,000 files of about 1 KB
long-history   3,000 commits over 400 files
deep-trees     3,000 files, each twelve directories down
"""

import random
import subprocess
import sys
from pathlib import Path

WORDS = [f"{a}{b}" for a in ("ar", "be", "co", "du", "el", "fi", "go", "hi") for b in ("ma", "ne", "ri", "so", "tu")]


def text(generator, size):
    """Words in lines: compresses about as well as source code does."""
    lines, length = [], 0
    while length < size:
        lines.append(" ".join(generator.choices(WORDS, k=10)))
        length += len(lines[-1]) + 1
    return "\n".join(lines).encode() + b"\n"


def few_large(generator):
    for change in range(4):
        yield {f"data/{n}.bin": generator.randbytes(2 << 20) + text(generator, 2 << 20) for n in range(6)
               if change == 0 or n == change}


def many_small(generator):
    yield {f"src/{n % 97:02}/{n % 13}/file{n}.c": text(generator, generator.randint(200, 2000)) for n in range(8000)}
    for _ in range(20):
        yield {f"src/{n % 97:02}/{n % 13}/file{n}.c": text(generator, 1000) for n in generator.choices(range(8000), k=20)}


def long_history(generator):
    files = {f"lib/{n % 20}/part{n}.py": text(generator, 6000) for n in range(400)}
    yield dict(files)
    for number in range(3000):
        name = generator.choice(list(files))
        lines = files[name].split(b"\n")
        lines.insert(generator.randrange(len(lines)), f"change {number}".encode())
        files[name] = b"\n".join(lines)
        yield {name: files[name]}


def deep_trees(generator):
    yield {"/".join(f"level{generator.randrange(2)}" for _ in range(12)) + f"/file{n}.txt": text(generator, 800)
           for n in range(3000)}


SHAPES = {"few-large": few_large, "many-small": many_small, "long-history": long_history, "deep-trees": deep_trees}


def git(repository, *arguments, **more):
    return subprocess.run(["git", "-c", "safe.directory=*", f"--git-dir={repository}", *arguments], check=True, **more)


def serve_like_a_forge(repository):
    """Packed once, with bitmaps; commits may be asked for by their ids."""
    git(repository, "repack", "-adbq")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")


def make(directory, name):
    repository = Path(directory) / f"{name}.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    importer = subprocess.Popen(["git", f"--git-dir={repository}", "fast-import", "--quiet"], stdin=subprocess.PIPE)
    say = importer.stdin.write
    for number, files in enumerate(SHAPES[name](random.Random(name))):
        say(b"commit refs/heads/main\ncommitter Bench <bench@example.com> %d +0000\ndata 6\nchange\n"
            % (1767225600 + number))
        for path, content in files.items():
            say(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
    importer.stdin.close()
    if importer.wait() != 0:
        raise SystemExit("git fast-import failed")
    serve_like_a_forge(repository)
    return repository


if __name__ == "__main__":
    for shape in SHAPES:
        print(make(sys.argv[1], shape))

"""Archives made to do harm, byte by byte the same each time.

`ARCHIVES` maps a name to a Case: a function that returns the archive's bytes, what fetch has to say (None: it unpacks, a
text: it refuses, with that text in its message), and options it is run with. Every case is about getting out of the target,
about what should not be left there, or about using up what others need.

As a program, for looking at them or for another unpacker:  python3 tests/hostile/make_archives.py DIRECTORY
"""

import bz2
import collections
import gzip
import lzma
import struct
import sys
import tarfile
from pathlib import Path

from packing import DIR, END, HARD, SYM, block, entry, padded, pax, tar, zip_link, zipped

# A file outside every target, which none of them may change: the tests put it there.
CANARY = "/var/tmp/slipway-canary/alive"
UP = "../" * 30
Case = collections.namedtuple("Case", "make refusal options", defaults=(None, ()))
ARCHIVES = {}


def case(refusal=None, *options):
    def keep(make):
        ARCHIVES[make.__name__] = Case(make, refusal, options)
        return make

    return keep


# Names


@case("leads out")
def dots():
    return tar(UP + CANARY[1:])


@case("leads out")
def dots_after_a_directory():
    return tar(entry("a", kind=DIR), "a/b/../../" + UP + CANARY[1:])


@case("leads out")
def a_name_of_dots_alone():
    return tar(entry("..", kind=DIR, mode=0o777))


@case("leads out")
def dots_that_stay_inside():
    return tar("a/../b")


@case()
def absolute():
    return tar(CANARY)


@case()
def absolute_by_many_slashes():
    return tar("//" + CANARY)


@case("leads out")
def absolute_and_dots():
    return tar("/" + UP + CANARY[1:])


@case("leads out")
def pax_path_hides_dots():
    return pax([(b"path", (UP + CANARY[1:]).encode())]) + block(b"harmless", 5) + padded(b"harm\n") + END


@case("leads out")
def gnu_long_name_hides_dots():
    return tar(UP + "x" * 120, form=tarfile.GNU_FORMAT)


@case("leads out")
def ustar_prefix_hides_dots():
    head = bytearray(block(b"x", 5))
    head[345:345 + 11] = b"../../../.."
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + padded(b"harm\n") + END


@case()
def nul_in_a_pax_name():
    return pax([(b"path", b"a\0/../../../x")]) + block(b"harmless", 5) + padded(b"harm\n") + END


@case()
def names_with_line_breaks_and_escapes():
    return tar('a\n{"slipway":1,"seq":1}\n', "b\x1b[2J\r", "c\x07")


@case()
def names_that_are_no_utf8():
    return block(b"\xff\xfe\x80", 5) + padded(b"harm\n") + END


@case("too long")
def a_component_of_256_bytes():
    return tar("a/" + "b" * 256)


@case("too long")
def a_path_of_5000_bytes():
    return tar("/".join(["d" * 200] * 25))


@case("deep")
def a_thousand_levels():
    return tar("a/" * 1000 + "x")


@case("without a name")
def no_name():
    return block(b"", 5) + padded(b"harm\n") + END


@case("in place of")
def a_file_in_place_of_the_top():
    return tar("./.")


@case()
def backslashes_and_drives():
    return tar("..\\..\\..\\x", "C:\\windows\\x", "C:/x")


# Links


@case("symbolic link")
def through_a_link_to_outside():
    return tar(entry("l", kind=SYM, link="/var/tmp/slipway-canary"), "l/alive")


@case("symbolic link")
def through_a_relative_link():
    return tar(entry("l", kind=SYM, link=UP), "l/var/tmp/slipway-canary/alive")


@case("symbolic link")
def through_a_link_to_inside():
    return tar("d/x", entry("l", kind=SYM, link="d"), "l/y")


@case("symbolic link")
def through_two_links():
    return tar(entry("a", kind=DIR), entry("a/b", kind=SYM, link=".."), entry("a/c", kind=SYM, link="b/../.."),
               "a/c/alive")


@case()
def over_a_link_to_outside():
    return tar(entry("l", kind=SYM, link=CANARY), "l")


@case()
def a_directory_over_a_link_to_outside():
    return tar(entry("l", kind=SYM, link="/var/tmp/slipway-canary"), entry("l", kind=DIR, mode=0o777), "l/alive")


@case()
def a_link_over_an_empty_directory():
    return tar(entry("d", kind=DIR), entry("d", kind=SYM, link="/var/tmp/slipway-canary"))


@case("symbolic link")
def through_a_link_that_took_a_directorys_place():
    return tar(entry("d/e", kind=DIR), entry("d/e", kind=SYM, link="/var/tmp/slipway-canary"), "d/e/alive")


@case()
def links_to_anywhere():
    return tar(entry("a", kind=SYM, link="/etc/passwd"), entry("b", kind=SYM, link=UP + "etc"), entry("c", kind=SYM, link="c"))


@case("no target")
def a_link_to_nothing():
    return tar(entry("l", kind=SYM, link=""))


@case("leads out")
def a_hard_link_to_outside():
    return tar(entry("h", kind=HARD, link=UP + CANARY[1:]), "h")


@case("not in it")
def a_hard_link_to_an_absolute_name():
    return tar(entry("h", kind=HARD, link=CANARY), "h")


@case("no regular file")
def a_hard_link_to_a_symbolic_link():
    return tar(entry("l", kind=SYM, link=CANARY), entry("h", kind=HARD, link="l"), "h")


@case("not in it")
def a_hard_link_through_a_symbolic_link():
    return tar(entry("l", kind=SYM, link="/var/tmp/slipway-canary"), entry("h", kind=HARD, link="l/alive"))


@case()
def a_hard_link_then_the_same_name_again():
    return tar("a", entry("h", kind=HARD, link="a"), entry("h", b"other\n"))


@case()
def a_hard_link_to_itself():
    return tar("a", entry("a", kind=HARD, link="a"))


# What should not be there


@case()
def devices_fifos_and_the_like():
    return tar("a", entry("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), entry("sda", kind=tarfile.BLKTYPE, devmajor=8),
               entry("fifo", kind=tarfile.FIFOTYPE))


@case("holds nothing")
def nothing_but_a_device():
    return tar(entry("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3))


@case()
def set_id_bits():
    return tar(entry("su", mode=0o6755), entry("d", kind=DIR, mode=0o7777), entry("d/x", mode=0o4711, uid=0, gid=0))


@case()
def a_directory_nobody_may_write():
    return tar(entry("d", kind=DIR, mode=0), "d/x", entry("d/e", kind=DIR, mode=0o111), "d/e/y")


@case()
def a_git_directory_with_hooks():
    return tar(entry(".git/hooks/post-checkout", b"#!/bin/sh\ntouch /var/tmp/slipway-canary/hook\n", mode=0o755),
               entry(".git/config", b"[core]\n\tfsmonitor = touch /var/tmp/slipway-canary/hook\n"), "x")


@case("both a file and a full directory")
def a_file_over_a_full_directory():
    return tar("d/x", "d")


@case("not a directory")
def below_a_file():
    return tar("f", "f/x")


# Too much


@case("--entry-limit", "--entry-limit=100")
def too_many_entries():
    return tar(*(f"f{i}" for i in range(101)))


@case("--entry-limit", "--entry-limit=100")
def too_many_directories_by_depth():
    return tar("a/" * 60 + "x", "b/" * 60 + "x")


@case("--entry-limit", "--entry-limit=100")
def the_same_name_too_often():
    return tar(*(entry("f") for _ in range(101)))


@case("--unpacked-limit", "--unpacked-limit=1M")
def too_many_bytes():
    return tar(entry("f", bytes(600_000)), entry("g", bytes(600_000)))


@case("--unpacked-limit", "--unpacked-limit=1M")
def a_compressed_bomb():
    return gzip.compress(tar(entry("f", bytes(50_000_000))), mtime=0)


@case("--ratio-limit")
def a_compressed_bomb_below_the_limit():
    return bz2.compress(tar(entry("f", bytes(110_000_000))))


@case("--unpacked-limit", "--unpacked-limit=1M")
def a_bomb_in_what_is_left_out():
    # A hard link may carry its file's content once more; it is read past.
    link = pax([(b"comment", b"a pax archive")]) + block(b"h", 50_000_000, b"1", b"a") + padded(bytes(50_000_000))
    return lzma.compress(tar("a")[:1024] + link + END)


@case("--unpacked-limit")
def a_sparse_file_of_many_terabytes():
    body = b"1\n0\n0\n"
    head = pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"huge"),
                (b"GNU.sparse.realsize", b"9000000000000000000")])
    return head + block(b"huge", 512) + body.ljust(512, b"\0") + END


@case()
def a_sparse_file_with_a_hole():
    body = b"1\n0\n5\n"
    head = pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"holes"),
                (b"GNU.sparse.realsize", b"1000000")])
    return head + block(b"holes", 517) + body.ljust(512, b"\0") + padded(b"harm\n") + END


@case("")
def a_size_that_lies():
    return block(b"f", 0o77777777777) + padded(b"harm\n")


@case("")
def a_pax_size_that_lies():
    return pax([(b"size", b"99999999999999999999")]) + block(b"f", 5) + padded(b"harm\n") + END


@case("cut short")
def a_tar_cut_short():
    return tar(entry("f", bytes(100_000)))[:50_000]


@case("")
def a_gzip_cut_short():
    return gzip.compress(tar(entry("f", bytes(range(256)) * 4000)), mtime=0)[:3000]


@case("damaged")
def a_gzip_with_a_wrong_checksum():
    raw = bytearray(gzip.compress(tar("f"), mtime=0))
    raw[-8] ^= 0xff
    return bytes(raw)


@case("damaged")
def a_bzip2_with_a_wrong_checksum():
    raw = bytearray(bz2.compress(tar("f")))
    raw[10] ^= 0xff
    return bytes(raw)


@case("damaged")
def an_xz_with_a_wrong_checksum():
    raw = bytearray(lzma.compress(tar("f"), check=lzma.CHECK_CRC32))
    raw[-33] ^= 0xff
    return bytes(raw)


@case("packed twice")
def an_xz_in_an_xz():
    return lzma.compress(lzma.compress(tar("f")))


@case("packed twice")
def a_gzip_in_a_gzip():
    return gzip.compress(gzip.compress(tar("f"), mtime=0), mtime=0)


# Zips


@case("leads out")
def zip_dots():
    return zipped((UP + CANARY[1:], "harm\n"))


@case("leads out")
def zip_backslash_dots():
    return zipped(("..\\" * 30 + "var\\tmp\\slipway-canary\\alive", "harm\n"))


@case()
def zip_absolute_and_drive():
    return zipped((CANARY, "harm\n"), ("C:\\x", "harm\n"))


@case("symbolic link")
def zip_through_a_link():
    return zipped(zip_link("l", "/var/tmp"), ("l/alive", "harm\n"))


@case()
def zip_device_and_set_id():
    return zipped(("a", "x"), zip_link("null", "", 0o020666), zip_link("su", "x", 0o106755))


@case("encrypted")
def zip_encrypted():
    raw = bytearray(zipped(("a", "x")))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


@case("another name")
def zip_with_two_names():
    raw = zipped(("harmless", "x"))
    return raw.replace(b"harmless", b"..\\..\\ab", 1)


@case("")
def zip_with_two_sizes():
    raw = bytearray(zipped(("a", "x" * 1000)))
    raw[18:22] = struct.pack("<I", 1)
    return bytes(raw)


@case("overlaps")
def zip_entries_that_overlap():
    raw = zipped(("a", bytes(1_000_000)), ("b", "x"))
    first = raw.index(b"PK\x01\x02")
    second = raw.index(b"PK\x01\x02", first + 4)
    end = raw.index(b"PK\x05\x06")
    # The second entry says it is the first one, once more.
    return raw[:second] + raw[first:second] + raw[end:end + 12] + struct.pack("<I", 2 * (second - first)) + raw[end + 16:]


@case("--unpacked-limit", "--unpacked-limit=1M")
def zip_bomb():
    return zipped(("a", bytes(5_000_000)))


@case("")
def zip_that_says_less_than_it_holds():
    raw = bytearray(zipped(("a", bytes(5_000_000))))
    for at in (22, raw.index(b"PK\x01\x02") + 24):
        raw[at:at + 4] = struct.pack("<I", 10)
    return bytes(raw)


@case("")
def zip_with_a_wrong_checksum():
    raw = bytearray(zipped(("a", "content")))
    for at in (14, raw.index(b"PK\x01\x02") + 16):
        raw[at] ^= 0xff
    return bytes(raw)


@case("no end record")
def zip_cut_short():
    return zipped(("a", "x" * 1000))[:-30]


@case("number of entries")
def zip_with_an_entry_too_few():
    raw = bytearray(zipped(("a", "x"), ("b", "y")))
    end = raw.index(b"PK\x05\x06")
    raw[end + 8:end + 12] = struct.pack("<HH", 1, 1)
    return bytes(raw)


@case("NUL")
def zip_with_a_nul_in_a_name():
    return zipped(("aXb", "x")).replace(b"aXb", b"a\0b")


@case("--entry-limit", "--entry-limit=100")
def zip_with_too_many_entries():
    return zipped(*((f"f{i}", "") for i in range(101)))


# Not archives


@case("7-Zip")
def seven_zip():
    return b"7z\xbc\xaf\x27\x1c\0\4" + bytes(100)


@case("RAR")
def rar():
    return b"Rar!\x1a\x07\x01\0" + bytes(100)


@case("HTML")
def an_error_page():
    return b"<!DOCTYPE html><html><head><title>404</title></head></html>"


@case("XML")
def an_object_stores_error():
    return b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'


@case("JSON")
def an_api_s_error():
    return b'{"error": "not found"}'


@case("empty")
def nothing():
    return b""


@case("no Dockerfile")
def a_shell_script():
    return b"#!/bin/sh\nrm -rf /\n"


@case("neither an archive nor text")
def random_bytes():
    return bytes((i * 7919 + 13) % 256 for i in range(5000))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in ARCHIVES.items():
        (folder / name).write_bytes(one.make())
    print(f"{len(ARCHIVES)} archives in {folder}")

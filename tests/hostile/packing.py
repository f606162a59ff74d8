"""Building archives by hand: with tarfile and zipfile where they let one, byte by byte where they would not."""

import io
import tarfile
import zipfile

TIME = 1767225600


def entry(name, content=b"harm\n", kind=tarfile.REGTYPE, link="", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, TIME
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    for member, value in more.items():
        setattr(info, member, value)
    return info, content


def tar(*entries, form=tarfile.PAX_FORMAT):
    """What tarfile writes of entry()s; strings are plain files of that name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for one in entries:
            info, content = entry(one) if isinstance(one, str) else one
            archive.addfile(info, io.BytesIO(content) if info.size else None)
    return out.getvalue()


def block(name: bytes, size=0, kind=b"0", link=b"", mode=b"0000644", magic=b"ustar\x0000"):
    """One tar header by hand, for what tarfile would not write."""
    head = bytearray(512)
    for at, text in ((0, name), (100, mode), (108, b"0000000"), (116, b"0000000"), (124, b"%011o" % size),
                     (136, b"%011o" % TIME), (148, b" " * 8), (156, kind), (157, link), (257, magic)):
        head[at:at + len(text)] = text
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def padded(content):
    return content + bytes(-len(content) % 512)


def pax(records):
    """A pax extended header for the entry after it; records as bytes."""
    body = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        size = len(rest)
        while size != len(rest) + len(str(size)):
            size = len(rest) + len(str(size))
        body += str(size).encode() + rest
    return block(b"pax", len(body), b"x") + padded(body)


END = bytes(1024)
SYM, HARD, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def zipped(*files):
    """files: (name, content) or (ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = info.external_attr or 0o644 << 16
            archive.writestr(info, content)
    return out.getvalue()


def zip_link(name, target, mode=0o120777):
    info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, mode << 16
    return info, target

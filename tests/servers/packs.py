"""What git servers send, taken apart and put together again: pkt-lines, side-band answers and packs.

Formats: gitprotocol-common, gitprotocol-pack, gitformat-pack. Only what `git upload-pack` answers to a protocol v0
request with side-band-64k, and only packs without deltas (repositories of a few small files).
"""

import hashlib
import struct
import zlib

FLUSH = b"0000"
LONGEST = 65515
NAMES = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}


def line(payload):
    return b"%04x%s" % (len(payload) + 4, payload)


def band(number, payload):
    return line(bytes([number]) + payload)


def lines(data):
    """Payloads of pkt-lines, None for a flush packet."""
    at = 0
    while at < len(data):
        size = int(data[at:at + 4], 16)
        yield data[at + 4:at + size] if size else None
        at += size or 4


def split(answer):
    """(everything before the pack, the pack) of an answer in side-band form."""
    before, pack = b"", b""
    for payload in lines(answer):
        if payload is None:
            before += b"" if pack else FLUSH
        elif payload[:1] == b"\1":
            pack += payload[1:]
        elif payload[:1] not in (b"\2", b"\3"):
            before += line(payload)
    return before, pack


def join(before, pack, end=FLUSH):
    pieces = [band(1, pack[at:at + LONGEST]) for at in range(0, len(pack), LONGEST)]
    return before + b"".join(pieces) + end


def objects(pack):
    """[(type number, content)] of a pack without deltas."""
    assert pack[:4] == b"PACK"
    count, at, found = struct.unpack(">I", pack[8:12])[0], 12, []
    for _ in range(count):
        kind = pack[at] >> 4 & 7
        assert kind in NAMES, "the pack has deltas"
        while pack[at] & 0x80:
            at += 1
        inflate = zlib.decompressobj()
        content = inflate.decompress(pack[at + 1:]) + inflate.flush()
        at = len(pack) - len(inflate.unused_data)
        found.append((kind, content))
    return found


def build(found):
    """The pack of such a list, with the right checksum."""
    body = b"PACK" + struct.pack(">II", 2, len(found))
    for kind, content in found:
        size, head = len(content) >> 4, bytearray([kind << 4 | len(content) & 15])
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7f)
            size >>= 7
        body += bytes(head) + zlib.compress(content)
    return body + hashlib.sha1(body).digest()


def identity(kind, content):
    """An object's id, in hexadecimal."""
    return hashlib.sha1(b"%s %d\0" % (NAMES[kind], len(content)) + content).hexdigest()

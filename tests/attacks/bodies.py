"""Request bodies that cost a service far more than they weigh. `size` is about how many bytes they have, unpacked.

The costs are those of ten megabytes on one core, where nothing is counted before it is parsed.
"""

import base64
import gzip
import random

BOUNDARY = b"boundary"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"
PART = b'--boundary\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FORM_END = b"\r\n--boundary--\r\n"

ROWS = (b'{"instances":[', b"]}")
"""What stands around the values of a TensorFlow Serving request."""
TENSOR = (b'{"inputs":[{"name":"input","shape":[1,4,4,1],"datatype":"FP32","data":[', b"]}]}")
"""What stands around the values of a request of the Open Inference Protocol."""


def empty_lists(around: tuple[bytes, bytes], size: int) -> bytes:
    """Lists of nothing: 1.1 s, most of it garbage collection, and 28 times the memory."""
    return _filled(around, b"[]", size)


def lists_of_one(around: tuple[bytes, bytes], size: int) -> bytes:
    """Lists of one number: 1.1 s and 25 times the memory."""
    return _filled(around, b"[0]", size)


def empty_objects(around: tuple[bytes, bytes], size: int) -> bytes:
    """Objects of nothing: 0.3 s and 28 times the memory."""
    return _filled(around, b"{}", size)


def small_objects(around: tuple[bytes, bytes], size: int) -> bytes:
    """Objects of one number: 0.3 s and 26 times the memory."""
    return _filled(around, b'{"a":0}', size)


def deep_lists(around: tuple[bytes, bytes], size: int) -> bytes:
    """Towers of lists, which have hardly any commas: 3.6 s and 40 times the memory."""
    return _filled(around, b"[" * 190 + b"]" * 190, size)


def deep_objects(around: tuple[bytes, bytes], size: int) -> bytes:
    """Towers of objects: 1.4 s and 39 times the memory."""
    return _filled(around, b'{"":' * 190 + b"0" + b"}" * 190, size)


def many_numbers(around: tuple[bytes, bytes], size: int) -> bytes:
    """Numbers that no two are kept of as one: 0.15 s and 13 times the memory."""
    return _filled(around, b"300", size)


def many_names(size: int) -> bytes:
    """Parameters of different names: 0.4 s and 10 times the memory."""
    return b'{"parameters":{' + b",".join(b'"%d":0' % number for number in range(size // 11)) + b'},"instances":[]}'


def spaced_base64(size: int) -> bytes:
    """Base64 with a space behind each second letter: 0.3 s and 27 times the memory where it is split at spaces."""
    return ROWS[0] + b'{"b64":"' + b"AA " * (size // 3 // 2 * 2) + b'"}' + ROWS[1]


def long_id(size: int) -> bytes:
    """An id that comes back with the answer: ten kilobytes, packed, are answered with ten megabytes."""
    image = base64.b64encode(b"GIF89a")
    tensor = b'{"name":"input","shape":[1],"datatype":"BYTES","data":["' + image + b'"]}'
    return b'{"id":"' + b"x" * size + b'","inputs":[' + tensor + b"]}"


def packed(body: bytes) -> bytes:
    """The same as gzip: what repeats itself has a thousandth of its size."""
    return gzip.compress(body, 9, mtime=0)


def near_boundaries(size: int) -> bytes:
    """A form whose content has lines that begin as its boundary does: 1.3 s to look at byte by byte."""
    return PART + b"\r\n--boundaryX" * (size // 13) + FORM_END


def padded_boundary(size: int) -> bytes:
    """A boundary with spaces behind it: 1.7 s to look at byte by byte."""
    return PART + b"\r\n--boundary" + b" " * size + FORM_END


def many_parts(size: int) -> bytes:
    """Parts of nothing, each of which takes several hundred bytes."""
    return b"--boundary\r\n\r\n\r\n" * (size // 16) + b"--boundary--"


def many_semicolons(parts: int) -> bytes:
    """Parts with headers of nothing but parameters: 0.6 s a megabyte."""
    part = b"--boundary\r\nContent-Disposition: form-data" + b";" * 4000 + b"\r\n\r\n\r\n"
    return part * parts + b"--boundary--"


def mutated(body: bytes, chance: random.Random) -> bytes:
    """`body` with some bytes lost, doubled, replaced or moved: what a parser may take for what it is not."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(changed) + 1)
        end = min(len(changed), start + chance.choice((1, 1, 2, 5, 40)))
        match chance.randrange(5):
            case 0:
                del changed[start:end]
            case 1:
                changed[start:start] = changed[start:end] * chance.choice((1, 2, 200))
            case 2:
                changed[start:end] = chance.randbytes(end - start)
            case 3:
                changed[start:start] = chance.choice(_TOKENS)
            case _:
                del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed)


_TOKENS = (
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"-0"),
    *(b"null", b"true", b'""', b"[]", b"{}", b"9" * 30, b"9" * 5000, b"-" * 100, b"0." + b"1" * 400, b"\xff", b"\0"),
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"--",
        b"--boundary",
        b"\r\n--boundary",
        b"\r\n--boundary--",
        b";",
        b"=",
        b"*",
    ),
    *(
        b"filename*=utf-8''%ff",
        b"name*0=a",
        b'"shape":[1000000000000000000],',
        b'"shape":[],',
        b'"id":{},',
        b"\xe2\x80\x83",
    ),
)


def _filled(around: tuple[bytes, bytes], value: bytes, size: int) -> bytes:
    head, tail = around
    return head + b",".join([value] * max(1, (size - len(head) - len(tail)) // (len(value) + 1))) + tail

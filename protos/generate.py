"""Writes the modules of service/protocols/grpc/messages/ from the .proto files here. Run by `make protos`.

With a folder as its argument it writes them there.

protoc's own modules put their messages into the descriptor pool that all of a process share, where TensorFlow has
messages of the same names. Those written here have a pool of their own.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

SOURCES = Path(__file__).parent
TARGET = SOURCES.parent / "service" / "protocols" / "grpc" / "messages"
PACKAGE = "service.protocols.grpc.messages"

_SHARED_POOL = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
_OWN_POOL = f"from {PACKAGE}.pool import POOL as _POOL\n"


def generate(target: Path) -> None:
    """Write `*_pb2.py` and their types, `*_pb2.pyi`, into the folder `target`."""
    names = sorted(path.name for path in SOURCES.glob("*.proto"))
    include = files("grpc_tools") / "_proto"
    status = protoc.main(
        ["protoc", f"-I{SOURCES}", f"-I{include}", f"--python_out={target}", f"--pyi_out={target}", *names]
    )
    if status:
        sys.exit(status)
    modules = {f"{Path(name).stem}_pb2" for name in names}
    for module in modules:
        for path in (target / f"{module}.py", target / f"{module}.pyi"):
            text = path.read_text()
            for other in modules:
                text = text.replace(f"\nimport {other} as", f"\nfrom {PACKAGE} import {other} as")
            if path.suffix == ".py":
                if text.count(_SHARED_POOL) != 1 or text.count("_descriptor_pool.Default()") != 1:
                    sys.exit(f"{path.name} is not as protoc wrote such modules when this was made; look at both")
                text = text.replace(_SHARED_POOL, _OWN_POOL).replace("_descriptor_pool.Default()", "_POOL")
            path.write_text(text)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)

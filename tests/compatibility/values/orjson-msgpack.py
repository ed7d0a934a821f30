# /// script
# dependencies = ["orjson", "msgpack", "ujson", "simplejson", "cbor2"]
# ///

import orjson, msgpack, cbor2


def extract(*, job, **_):
    d = {"a": [1, 2.5, "é"]}
    (job.output_dir / "m.bin").write_bytes(msgpack.packb(d))
    return [
        orjson.loads(orjson.dumps(d)),
        msgpack.unpackb((job.output_dir / "m.bin").read_bytes()),
        cbor2.loads(cbor2.dumps(d)),
    ]

# /// script
# dependencies = ["grpcio"]
# ///

import grpc

ch = grpc.insecure_channel("127.0.0.1:1")  # a channel made before the fork
try:
    ch.unary_unary("/a/b")(b"x", timeout=1)
except grpc.RpcError:
    pass


def extract(*, job, **_):
    try:
        grpc.insecure_channel("127.0.0.1:1").unary_unary("/a/b")(b"x", timeout=3)
    except grpc.RpcError as e:
        return str(e.code())

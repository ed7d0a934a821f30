# /// script
# dependencies = ["grpcio", "protobuf", "grpcio-status"]
# ///

import grpc
from concurrent import futures
import google.protobuf.struct_pb2 as s


def extract(*, job, **_):
    class H(grpc.GenericRpcHandler):
        def service(self, d):
            return grpc.unary_unary_rpc_method_handler(lambda r, c: r + b"!")

    sv = grpc.server(futures.ThreadPoolExecutor(2))
    sv.add_generic_rpc_handlers((H(),))
    port = sv.add_insecure_port("127.0.0.1:0")
    sv.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as ch:
        r = ch.unary_unary("/a/b")(b"hi", timeout=15)
    sv.stop(None).wait(5)
    return r.decode()

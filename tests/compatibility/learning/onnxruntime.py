# /// script
# dependencies = ["onnxruntime", "onnx", "numpy"]
# ///

import onnxruntime as ort, onnx, numpy as np
from onnx import helper as h, TensorProto as T


def extract(*, job, **_):
    g = h.make_graph(
        [h.make_node("MatMul", ["a", "b"], ["c"])],
        "g",
        [
            h.make_tensor_value_info("a", T.FLOAT, [64, 64]),
            h.make_tensor_value_info("b", T.FLOAT, [64, 64]),
        ],
        [h.make_tensor_value_info("c", T.FLOAT, [64, 64])],
    )
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 17)])
    m.ir_version = 9
    onnx.save(m, str(job.output_dir / "m.onnx"))
    s = ort.InferenceSession(str(job.output_dir / "m.onnx"), providers=["CPUExecutionProvider"])
    r = s.run(None, {"a": np.ones((64, 64), "f4"), "b": np.ones((64, 64), "f4")})
    return float(r[0].sum())

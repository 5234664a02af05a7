//! Tiny ONNX files, encoded by hand: what the tests need of the protobuf format and no more.

/// A node: name, operator, inputs, output.
pub struct Node<'a> {
    pub name: &'a str,
    pub operator: &'a str,
    pub inputs: &'a [&'a str],
    pub output: &'a str,
}

/// A model with f32 inputs `(name, shape)` and the f32 outputs `(name, shape)`.
pub fn model(nodes: &[Node<'_>], inputs: &[(&str, &[u64])], outputs: &[(&str, &[u64])]) -> Vec<u8> {
    let mut graph = Vec::new();
    for node in nodes {
        let mut bytes = Vec::new();
        for input in node.inputs {
            text(&mut bytes, 1, input);
        }
        text(&mut bytes, 2, node.output);
        text(&mut bytes, 3, node.name);
        text(&mut bytes, 4, node.operator);
        block(&mut graph, 1, &bytes);
    }
    text(&mut graph, 2, "graph");
    for (field, tensors) in [(11, inputs), (12, outputs)] {
        for (name, shape) in tensors {
            block(&mut graph, field, &value_info(name, shape));
        }
    }
    let mut opset = Vec::new();
    number(&mut opset, 2, 17);
    let mut model = Vec::new();
    number(&mut model, 1, 8);
    block(&mut model, 7, &graph);
    block(&mut model, 8, &opset);
    model
}

/// `y = relu(x)` over (1, 8, 16, 16).
pub fn relu() -> Vec<u8> {
    model(
        &[Node {
            name: "rectify",
            operator: "Relu",
            inputs: &["x"],
            output: "y",
        }],
        &[("x", &[1, 8, 16, 16])],
        &[("y", &[1, 8, 16, 16])],
    )
}

fn value_info(name: &str, shape: &[u64]) -> Vec<u8> {
    let mut dims = Vec::new();
    for &extent in shape {
        let mut dim = Vec::new();
        number(&mut dim, 1, extent);
        block(&mut dims, 1, &dim);
    }
    let mut tensor = Vec::new();
    // TensorProto.FLOAT
    number(&mut tensor, 1, 1);
    block(&mut tensor, 2, &dims);
    let mut kind = Vec::new();
    block(&mut kind, 1, &tensor);
    let mut info = Vec::new();
    text(&mut info, 1, name);
    block(&mut info, 2, &kind);
    info
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn block(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, field: u64, text: &str) {
    block(out, field, text.as_bytes());
}

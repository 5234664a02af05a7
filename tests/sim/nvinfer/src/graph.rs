//! An ONNX graph as TensorRT's interfaces describe it: inputs, outputs, nodes, bytes of weights.
//!
//! Reading is the `rten-onnx` crate's; whether the graph can run is the `rten` runtime's to say.

use rten::ModelOptions;
use rten_onnx::onnx::{self, GraphProto, ModelProto, TensorProto, ValueInfoProto};
use sha2::{Digest, Sha256};
use std::ffi::CString;

/// Codes of `nvonnxparser::ErrorCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ParseCode {
    /// The bytes are not an ONNX model.
    ModelDeserializeFailed = 3,
    /// The graph contradicts itself.
    InvalidGraph = 5,
    /// A node cannot be run.
    UnsupportedNode = 8,
    /// A tensor has an element type that TensorRT lacks.
    UnsupportedDatatype = 11,
}

/// Why a graph was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The class of the failure.
    pub code: ParseCode,
    /// Index of the node, -1 when no node is to blame.
    pub node: i32,
    /// The node's name, empty when no node is to blame.
    pub name: String,
    /// The node's operator, empty when no node is to blame.
    pub op: String,
    /// What is wrong.
    pub text: String,
}

impl ParseError {
    fn new(code: ParseCode, text: String) -> Self {
        Self {
            code,
            node: -1,
            name: String::new(),
            op: String::new(),
            text,
        }
    }
}

/// Element types, numbered as `nvinfer1::DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)] // the names say it
pub enum ElementType {
    Float = 0,
    Half = 1,
    Int8 = 2,
    Int32 = 3,
    Bool = 4,
    Uint8 = 5,
    Bf16 = 7,
    Int64 = 8,
}

impl ElementType {
    fn of(onnx: onnx::DataType) -> Option<Self> {
        Some(match onnx {
            onnx::DataType::FLOAT => Self::Float,
            onnx::DataType::FLOAT16 => Self::Half,
            onnx::DataType::INT8 => Self::Int8,
            onnx::DataType::INT32 => Self::Int32,
            onnx::DataType::BOOL => Self::Bool,
            onnx::DataType::UINT8 => Self::Uint8,
            onnx::DataType::BFLOAT16 => Self::Bf16,
            onnx::DataType::INT64 => Self::Int64,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Int64 => 8,
            Self::Float | Self::Int32 => 4,
            Self::Half | Self::Bf16 => 2,
            Self::Int8 | Self::Bool | Self::Uint8 => 1,
        }
    }
}

/// An input or output of the graph.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: CString,
    /// Its element type.
    pub element: ElementType,
    /// Its extents, -1 for one that is not fixed.
    pub dims: Vec<i64>,
}

impl Tensor {
    /// Bytes of the dense tensor; 0 while an extent is not fixed.
    pub fn bytes(&self) -> u64 {
        self.dims
            .iter()
            .try_fold(self.element.bytes(), |bytes, &extent| {
                bytes.checked_mul(u64::try_from(extent).ok()?)
            })
            .unwrap_or(0)
    }

    /// Whether every extent is fixed.
    pub fn is_static(&self) -> bool {
        self.dims.iter().all(|&extent| extent >= 0)
    }
}

/// A node's name and operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name, or one made of operator and index where the graph gives none.
    pub name: CString,
    /// The operator.
    pub op: String,
}

/// A graph that was read and found fit to build.
#[derive(Debug)]
pub struct Graph {
    /// The model's bytes as they came.
    pub onnx: Vec<u8>,
    /// Inputs that are not initialisers.
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// Nodes in the file's order.
    pub nodes: Vec<Node>,
    /// Sum of the initialisers' bytes.
    pub weights_bytes: u64,
    /// Whether some tensor is bfloat16, which the CPU runtime cannot compute with.
    pub bf16: bool,
}

impl Graph {
    /// Reads a model and lets the CPU runtime load it (unless it has bfloat16 tensors).
    ///
    /// # Errors
    /// When the bytes are not an ONNX model, or the runtime cannot run it.
    pub fn parse(onnx: &[u8]) -> Result<Self, ParseError> {
        let broken = |text| ParseError::new(ParseCode::ModelDeserializeFailed, text);
        let model = ModelProto::parse_buf(onnx)
            .map_err(|error| broken(format!("Failed to parse the ONNX model: {error}")))?;
        let graph = model
            .graph
            .filter(|graph| !graph.node.is_empty() && !graph.output.is_empty())
            .ok_or_else(|| broken("The ONNX model has no graph".to_owned()))?;
        let parsed = Self {
            onnx: onnx.to_vec(),
            inputs: tensors(
                graph
                    .input
                    .iter()
                    .filter(|input| !graph.initializer.iter().any(|i| i.name == input.name)),
            )?,
            outputs: tensors(&graph.output)?,
            nodes: nodes(&graph),
            weights_bytes: graph.initializer.iter().map(tensor_bytes).sum(),
            bf16: has_bf16(&graph),
        };
        if !parsed.bf16 {
            parsed.try_load()?;
        }
        Ok(parsed)
    }

    /// Inputs, then outputs.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.inputs.iter().chain(&self.outputs)
    }

    /// The `index`-th tensor of [`Self::tensors`], and whether it is an output.
    pub fn tensor(&self, index: usize) -> Option<(&Tensor, bool)> {
        let tensor = self.tensors().nth(index)?;
        Some((tensor, index >= self.inputs.len()))
    }

    /// Bytes of scratch memory an execution needs: made up, but the same for the same graph.
    pub fn scratch_bytes(&self) -> u64 {
        align(self.tensors().map(Tensor::bytes).sum::<u64>().max(1))
    }

    /// Bytes of memory a context keeps: made up, but the same for the same graph.
    pub fn persistent_bytes(&self) -> u64 {
        align(4096 + 64 * self.nodes.len() as u64)
    }

    /// The first 8 bytes of the model's SHA-256.
    pub fn hash(&self) -> u64 {
        let digest = Sha256::digest(&self.onnx);
        digest
            .iter()
            .take(8)
            .fold(0, |hash, &byte| hash << 8 | u64::from(byte))
    }

    fn try_load(&self) -> Result<(), ParseError> {
        let loaded = ModelOptions::with_all_ops()
            .enable_optimization(false)
            .load(self.onnx.clone());
        let Err(error) = loaded else {
            return Ok(());
        };
        let blamed = error.node().and_then(|name| {
            self.nodes
                .iter()
                .position(|node| node.name.to_bytes() == name.as_bytes())
        });
        let mut refused = ParseError::new(ParseCode::InvalidGraph, error.to_string());
        if let Some(index) = blamed {
            refused.code = ParseCode::UnsupportedNode;
            refused.node = i32::try_from(index).unwrap_or(-1);
            refused.name = self.nodes[index].name.to_string_lossy().into_owned();
            refused.op.clone_from(&self.nodes[index].op);
        } else if let Some(name) = error.node() {
            name.clone_into(&mut refused.name);
        }
        Err(refused)
    }
}

/// Rounds up to TensorRT's alignment of device memory.
pub fn align(bytes: u64) -> u64 {
    bytes.next_multiple_of(256)
}

fn tensors<'a>(
    values: impl IntoIterator<Item = &'a ValueInfoProto>,
) -> Result<Vec<Tensor>, ParseError> {
    values.into_iter().map(tensor).collect()
}

fn tensor(value: &ValueInfoProto) -> Result<Tensor, ParseError> {
    let name = value.name.clone().unwrap_or_default();
    let refuse = |code, what: String| ParseError::new(code, format!("Tensor '{name}': {what}"));
    let described = value
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref())
        .ok_or_else(|| refuse(ParseCode::InvalidGraph, "it is not a tensor".to_owned()))?;
    let element = described.elem_type.unwrap_or(onnx::DataType(0));
    let dims = described.shape.iter().flat_map(|shape| &shape.dim);
    Ok(Tensor {
        element: ElementType::of(element).ok_or_else(|| {
            refuse(
                ParseCode::UnsupportedDatatype,
                format!("the element type {element} is not supported"),
            )
        })?,
        dims: dims.map(|dim| dim.dim_value.unwrap_or(-1)).collect(),
        name: c_string(&name),
    })
}

fn nodes(graph: &GraphProto) -> Vec<Node> {
    let nodes = graph.node.iter().enumerate();
    nodes
        .map(|(index, node)| {
            let op = node.op_type.clone().unwrap_or_default();
            let name = match node.name.as_deref() {
                None | Some("") => c_string(&format!("{op}_{index}")),
                Some(name) => c_string(name),
            };
            Node { name, op }
        })
        .collect()
}

/// The text up to its first NUL, which no valid ONNX name has.
pub fn c_string(text: &str) -> CString {
    let bytes = text.split('\0').next().unwrap_or_default();
    CString::new(bytes).unwrap_or_default()
}

fn tensor_bytes(tensor: &TensorProto) -> u64 {
    let element = tensor
        .data_type
        .and_then(ElementType::of)
        .map_or(8, ElementType::bytes);
    tensor.dims.iter().fold(element, |bytes, &extent| {
        bytes.saturating_mul(u64::try_from(extent).unwrap_or(0))
    })
}

fn has_bf16(graph: &GraphProto) -> bool {
    const BF16: onnx::DataType = onnx::DataType::BFLOAT16;
    let value = |value: &ValueInfoProto| {
        value
            .r#type
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref())
            .is_some_and(|tensor| tensor.elem_type == Some(BF16))
    };
    let constant = |tensor: &TensorProto| tensor.data_type == Some(BF16);
    graph.initializer.iter().any(constant)
        || [&graph.input, &graph.output, &graph.value_info]
            .into_iter()
            .flatten()
            .any(value)
        || graph.node.iter().any(|node| {
            let casts = node.op_type.as_deref() == Some("Cast");
            node.attribute.iter().any(|attribute| {
                casts && attribute.i == Some(i64::from(BF16.0))
                    || attribute.t.as_ref().is_some_and(constant)
                    || attribute.g.as_ref().is_some_and(has_bf16)
            })
        })
}

//! Checks the outline of an ONNX file before a parser believes it: every length lies inside what
//! holds it, and graphs are not nested deeper than any model has them. Nothing is allocated.
//!
//! Field numbers are those of `onnx.proto3` (ONNX 1.17); fields that are not messages are skipped.

/// The deepest nesting of messages that is followed. A model with a loop in a branch of another
/// loop has 20.
const DEEPEST: usize = 64;

/// Messages that hold other messages or strings.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    Function,
    /// Strings and numbers only.
    Leaf,
}

impl Message {
    /// The message in a length-delimited field; `None` for strings, bytes and packed numbers.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8 | 14) => Self::Leaf,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) => Self::Tensor,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::ValueInfo,
            (Self::Graph, 15) => Self::SparseTensor,
            (Self::Graph, 14 | 16) | (Self::Function, 9 | 14) => Self::Leaf,
            (Self::Function, 11) => Self::Attribute,
            (Self::Node, 5) => Self::Attribute,
            (Self::Node, 9) => Self::Leaf,
            (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Attribute, 14 | 15) => Self::Type,
            (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Tensor, 3 | 13 | 16) => Self::Leaf,
            (Self::ValueInfo, 2) => Self::Type,
            // Tensor, sequence, map, optional, sparse tensor: each wraps further types.
            (Self::Type, 1 | 2 | 4 | 5 | 8 | 9) => Self::Type,
            _ => return None,
        })
    }
}

/// Checks the outline of an ONNX file.
///
/// # Errors
/// What does not fit, and at which byte.
pub(super) fn check(onnx: &[u8]) -> Result<(), String> {
    walk(onnx, Message::Model, 0, 0)
}

fn walk(bytes: &[u8], message: Message, offset: usize, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!(
            "its graphs are nested more than {DEEPEST} deep at byte {offset}"
        ));
    }
    let mut rest = Reader { bytes, at: 0 };
    while rest.at < bytes.len() {
        let start = offset + rest.at;
        let cut = |what: &str| format!("{what} at byte {start} does not fit into what holds it");
        let tag = rest.varint().ok_or_else(|| cut("a field"))?;
        match tag & 7 {
            0 => drop(rest.varint().ok_or_else(|| cut("a number"))?),
            1 => drop(rest.take(8).ok_or_else(|| cut("a number"))?),
            5 => drop(rest.take(4).ok_or_else(|| cut("a number"))?),
            2 => {
                let length = rest.varint().ok_or_else(|| cut("a length"))?;
                let inner = usize::try_from(length)
                    .ok()
                    .and_then(|length| rest.take(length));
                let inner = inner.ok_or_else(|| cut(&format!("a field of {length} bytes")))?;
                if let Some(message) = message.field(tag >> 3) {
                    walk(inner, message, offset + rest.at - inner.len(), depth + 1)?;
                }
            }
            kind => {
                return Err(format!(
                    "byte {start} starts a field of unknown kind {kind}"
                ));
            }
        }
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn field(number: u8, body: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = body.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend(body);
        field
    }

    #[test]
    fn a_string_longer_than_its_file_is_refused() {
        let huge = [0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let node = field(1, &huge);
        let model = field(7, &node);
        let error = check(&model).unwrap_err();
        assert!(error.contains("does not fit"), "{error}");
        check(&field(7, &field(1, &field(4, b"Add")))).unwrap();
        check(&[]).unwrap();
    }

    #[test]
    fn graphs_nested_without_end_are_refused() {
        let mut graph = Vec::new();
        for _ in 0..1000 {
            // A graph in an attribute of a node.
            graph = field(1, &field(5, &field(6, &graph)));
        }
        let error = check(&field(7, &graph)).unwrap_err();
        assert!(error.contains("nested"), "{error}");
    }

    #[test]
    fn every_cut_of_a_model_ends_without_a_panic() {
        let model = field(
            7,
            &field(1, &field(5, &field(5, &[0x0a, 2, 1, 1, 0x10, 1]))),
        );
        check(&model).unwrap();
        for cut in 1..model.len() {
            assert!(check(&model[..cut]).is_err(), "cut at {cut}");
        }
    }

    /// Damaged copies of every embedded graph; what the outline lets pass goes to the loader, which
    /// must not abort.
    #[cfg(feature = "cpu")]
    #[test]
    fn damaged_graphs_are_refused_without_an_abort() {
        let cases = std::env::var("MASKLET_FUZZ").ok();
        let cases: u32 = cases.and_then(|n| n.parse().ok()).unwrap_or(20);
        let bundle = crate::bundle::Bundle::embedded().unwrap();
        let mut seed = 7_u32;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % below
        };
        for entry in &bundle.manifest().component {
            let good = bundle.origin.read(&entry.file).unwrap().into_owned();
            check(&good).unwrap();
            // Weights are most of a file; its outline is at both ends.
            let edge = good.len().min(20_000);
            let (mut refused, mut loaded) = (0, 0);
            for _ in 0..cases {
                let mut bad = good.clone();
                for _ in 0..1 + next(4) {
                    let at = next(edge);
                    let at = if next(2) == 0 { at } else { bad.len() - 1 - at };
                    bad[at] = next(256) as u8;
                }
                match check(&bad) {
                    Err(_) => refused += 1,
                    Ok(()) => {
                        let outcome = crate::bundle::graph::check("fuzz", entry, &bad);
                        loaded += u32::from(outcome.is_ok());
                    }
                }
            }
            println!(
                "{}: {cases} cases, {refused} refused by the outline, {loaded} load",
                entry.name
            );
        }
    }
}

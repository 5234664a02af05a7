//! Which device and runtime: the same options on every command that opens one.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use masklet_engines::backend::Selection;
use masklet_engines::device::DeviceKind;
use masklet_engines::runtime::RuntimeKind;

/// Names the runtime of every command that is not given one: what the tests set.
pub const RUNTIME_ENV: &str = "MASKLET_RUNTIME";

/// A device on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceArg {
    /// The CPU.
    Cpu,
    /// A CUDA device by its ordinal.
    Cuda(usize),
}

fn parse_device(text: &str) -> Result<DeviceArg, String> {
    if text == "cpu" {
        return Ok(DeviceArg::Cpu);
    }
    text.parse()
        .map(DeviceArg::Cuda)
        .map_err(|_| format!("'{text}' is not a device; use cpu, or the ordinal of a CUDA device"))
}

/// `auto` and the names of all runtimes; `cpu` is a name of rten.
fn runtime_parser() -> impl TypedValueParser<Value = RuntimeArg> {
    let named = RuntimeKind::ALL.iter().map(|kind| {
        let value = PossibleValue::new(kind.name());
        if kind.name() == "rten" {
            value.alias("cpu")
        } else {
            value
        }
    });
    let values: Vec<PossibleValue> = [PossibleValue::new("auto")]
        .into_iter()
        .chain(named)
        .collect();
    PossibleValuesParser::new(values).map(|name| RuntimeArg(RuntimeKind::named(&name)))
}

/// A runtime on the command line; `None` for `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeArg(pub Option<RuntimeKind>);

/// The device and the runtime.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Resources")]
pub struct PairArgs {
    /// Device: cpu, or the ordinal of a CUDA device [default: what the runtime prefers]
    #[arg(long, value_name = "cpu|N", value_parser = parse_device)]
    pub device: Option<DeviceArg>,
    /// Runtime that executes the model; auto takes the first of the list that this machine can run all
    /// models on.
    #[arg(
        long,
        alias = "backend",
        env = RUNTIME_ENV,
        hide_env = true,
        default_value = "auto",
        value_parser = runtime_parser(),
        value_name = "RUNTIME"
    )]
    pub runtime: RuntimeArg,
}

impl PairArgs {
    /// Which pairs are wanted.
    pub fn selection(&self) -> Selection {
        Selection {
            device: self.device.map(|device| match device {
                DeviceArg::Cpu => DeviceKind::Host,
                DeviceArg::Cuda(_) => DeviceKind::Cuda,
            }),
            runtime: self.runtime.0,
        }
    }

    /// The ordinal of the CUDA device, if one is opened.
    pub fn ordinal(&self) -> usize {
        match self.device {
            Some(DeviceArg::Cuda(ordinal)) => ordinal,
            Some(DeviceArg::Cpu) | None => 0,
        }
    }
}

//! The CPU as a device: tensors in host memory, everything done before a call returns.

use super::{
    Device, DeviceFacts, DeviceKind, EndRows, FrameLimits, Stamp, foreign_stamp, of, same,
};
use crate::error::{Error, Result};
use crate::memory::{AccessError, Arena, Element, Slab, TensorMut, TensorRef};
use crate::tensor::DType;
use std::time::{Duration, Instant};

/// The CPU and its memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDevice;

/// The bytes of a host tensor.
fn bytes(tensor: TensorRef<'_>) -> Result<&[u8], AccessError> {
    fn of<T: Element>(tensor: TensorRef<'_>) -> Result<&[u8], AccessError> {
        Ok(super::bytes_of(tensor.as_slice::<T>()?))
    }
    match tensor.dtype() {
        DType::F32 => of::<f32>(tensor),
        DType::F16 => of::<half::f16>(tensor),
        DType::Bf16 => of::<half::bf16>(tensor),
        DType::I32 => of::<i32>(tensor),
        DType::U8 => of::<u8>(tensor),
    }
}

/// The bytes of a host tensor, to be written.
fn bytes_mut(tensor: TensorMut<'_>) -> Result<&mut [u8], AccessError> {
    fn of<T: Element>(tensor: TensorMut<'_>) -> Result<&mut [u8], AccessError> {
        let values = tensor.into_slice::<T>()?;
        let bytes = std::mem::size_of_val(values);
        // SAFETY: elements are plain numbers without padding, of which any bytes are one.
        Ok(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), bytes) })
    }
    match tensor.dtype() {
        DType::F32 => of::<f32>(tensor),
        DType::F16 => of::<half::f16>(tensor),
        DType::Bf16 => of::<half::bf16>(tensor),
        DType::I32 => of::<i32>(tensor),
        DType::U8 => of::<u8>(tensor),
    }
}

fn write(from: &[u8], to: &mut [u8]) -> Result<()> {
    if from.len() != to.len() {
        let (from, to) = (from.len(), to.len());
        return Err(Error::run(format!(
            "{from} bytes do not fit into a tensor of {to}"
        )));
    }
    to.copy_from_slice(from);
    Ok(())
}

impl Device for HostDevice {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            kind: DeviceKind::Host,
            name: "CPU".to_owned(),
            simulated: false,
        }
    }

    fn slab(&self, bytes: usize) -> Result<Slab> {
        Ok(Slab::host(bytes)?)
    }

    fn staging_slab(&self, _bytes: usize) -> Result<Option<Slab>> {
        Ok(None)
    }

    fn end_rows(&self, _frames: FrameLimits, _objects: usize, _side: usize) -> EndRows {
        EndRows::default()
    }

    fn keep(&self, _staging: Option<&mut Arena>) -> Result<()> {
        Ok(())
    }

    fn stamp(&self) -> Result<Stamp> {
        Ok(Stamp::Host(Instant::now()))
    }

    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration> {
        match (from, to) {
            (Stamp::Host(from), Stamp::Host(to)) => Ok(to.saturating_duration_since(from)),
            _ => Err(foreign_stamp()),
        }
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn upload_bytes(&self, from: &[u8], to: TensorMut<'_>) -> Result<()> {
        write(from, bytes_mut(to)?)
    }

    fn download_bytes(&self, from: TensorRef<'_>, to: &mut [u8]) -> Result<()> {
        write(bytes(from)?, to)
    }

    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<()> {
        same(of(&from), of(&to.view()))?;
        write(bytes(from)?, bytes_mut(to)?)
    }

    fn copy_through_bf16(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<()> {
        same(of(&from), of(&to.view()))?;
        let (from, to) = (from.as_slice::<f32>()?, to.into_slice::<f32>()?);
        for (to, from) in to.iter_mut().zip(from) {
            *to = half::bf16::from_f32(*from).to_f32();
        }
        Ok(())
    }

    fn zero(&self, to: TensorMut<'_>) -> Result<()> {
        bytes_mut(to)?.fill(0);
        Ok(())
    }
}

//! Names of devices on the command line and in configurations (`cpu`, `cuda:0`, `wgpu`), and what burn calls them.

use burn::tensor::Device;

use crate::{Error, Result};

/// Opens a device by its name. The CPU is always there; the others are cargo features of the same name.
///
/// # Errors
/// An unknown name, or a device that this build lacks.
pub fn open(name: &str) -> Result<Device> {
    let (kind, index) = name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index)));
    let index = index.map(|index| index.parse::<usize>().map_err(|_| unknown(name))).transpose()?;
    match (kind, index) {
        ("cpu", None) => Ok(Device::flex()),
        ("cuda", index) => cuda(index.unwrap_or(0)),
        ("wgpu", index) => wgpu(index),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Error {
    refuse(format!("unknown device {name:?}; known: cpu, cuda:0, cuda:1, ..., wgpu"))
}

fn refuse(why: String) -> Error {
    Error::Config { key: "device".to_owned(), why }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device> {
    Ok(Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Device> {
    Err(refuse("this build has no cuda; build it with `--features cuda`".to_owned()))
}

#[cfg(feature = "wgpu")]
fn wgpu(index: Option<usize>) -> Result<Device> {
    use burn::tensor::DeviceKind;
    Ok(Device::wgpu(index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu)))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: Option<usize>) -> Result<Device> {
    Err(refuse("this build has no wgpu; build it with `--features wgpu`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there_and_unknown_names_list_the_known() {
        assert!(open("cpu").is_ok());
        for name in ["tpu", "cuda:x", "cpu:1", ""] {
            let error = open(name).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("known: cpu"), "{error}");
        }
    }
}

//! Who computes a step: the processes of a run, and the devices of this one.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use super::Ranks;
use crate::device::{self, mix};
use crate::{Error, Result};

/// The ranks of a run with the devices of this one. The first device holds the weights.
#[derive(Clone, Debug)]
pub struct Team {
    ranks: Ranks,
    first: Device,
    others: Vec<Device>,
}

impl Team {
    /// One process with one device.
    #[must_use]
    pub fn alone(device: Device) -> Self {
        Self { ranks: Ranks::alone(), first: device, others: Vec::new() }
    }

    /// Opens devices by their names. `cuda` without a number is a device of its own for each process of a machine.
    ///
    /// # Errors
    /// An unknown name, or a device that this build lacks.
    pub fn open<'a>(ranks: &Ranks, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let open = |name: &str| match name {
            "cuda" if ranks.world() > 1 => device::open(&format!("cuda:{}", ranks.local())),
            name => device::open(name),
        };
        let mut devices =
            names.into_iter().map(|name| Ok(open(name)?.autodiff())).collect::<Result<Vec<_>>>()?;
        if devices.is_empty() {
            return Err(Error::config("run.devices: names no device"));
        }
        Ok(Self { ranks: ranks.clone(), first: devices.remove(0), others: devices })
    }

    /// The processes.
    #[must_use]
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// The device that holds the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.first
    }

    /// Devices over all processes, when each has as many as this one.
    #[must_use]
    pub fn size(&self) -> usize {
        self.ranks.world() * (1 + self.others.len())
    }

    /// Refuses a batch that leaves somebody with nothing to do.
    ///
    /// # Errors
    /// Names the key of `[data]`.
    pub fn check(&self, batch_size: usize, parts: usize) -> Result<()> {
        let (world, devices) = (self.ranks.world(), 1 + self.others.len());
        if batch_size < world {
            return Err(Error::config(format!("data.batch_size: {batch_size} rows for {world} processes"))
                .with_hint(format!("start fewer processes, or make it at least {world}")));
        }
        if devices > 1 && parts < self.size() {
            let parts = if parts == 1 { "1 part".to_owned() } else { format!("{parts} parts") };
            let all = self.size();
            let why = format!("data.parts: {parts} for {all} devices, of which each computes whole parts");
            return Err(Error::config(why).with_hint(format!("make it a multiple of {}", self.size())));
        }
        Ok(())
    }

    /// Into how many parts a step is cut that asks for `parts`: as many for each rank.
    #[must_use]
    pub fn parts(&self, parts: usize) -> usize {
        parts.next_multiple_of(self.ranks.world())
    }

    /// This rank's parts of a step, every `world`-th: neighbours cost the same, and are computed at the same time.
    pub(crate) fn share<P>(&self, parts: Vec<P>) -> Vec<P> {
        parts.into_iter().skip(self.ranks.rank()).step_by(self.ranks.world()).collect()
    }

    /// How many of the `parts` of a step this process computes at a time.
    #[must_use]
    pub fn width(&self, parts: usize, side_by_side: bool) -> usize {
        let mine = parts.div_ceil(self.ranks.world()).max(1);
        if side_by_side {
            rayon::current_num_threads().clamp(1, mine)
        } else if self.distinct() {
            // Each device draws its own random numbers, one part after the other.
            (1 + self.others.len()).min(mine)
        } else {
            1
        }
    }

    fn distinct(&self) -> bool {
        let all: Vec<_> = std::iter::once(&self.first).chain(&self.others).collect();
        (1..all.len()).all(|i| !all[..i].contains(&all[i]))
    }

    /// A copy of a model on each device, the first as it is; parts go round them.
    pub(crate) fn copies<M: Module>(&self, model: &M) -> Vec<(M, &Device)> {
        let mut copies = vec![(model.clone(), &self.first)];
        for device in &self.others {
            let copy = if *device == self.first { model.clone() } else { model.clone().fork(device) };
            copies.push((copy, device));
        }
        copies
    }

    /// Brings gradients to the first device.
    pub(crate) fn home<M: Module>(
        &self,
        grads: GradientsParams,
        from: &Device,
        model: &M,
    ) -> GradientsParams {
        if *from == self.first {
            return grads;
        }
        grads.to_device(&self.first.clone().without_autodiff(), model)
    }

    /// Seeds every device, each with numbers of its own; the first of rank 0 as a run of one process does.
    pub(crate) fn seed(&self, seed: u64) {
        let here = self.ranks.rank() * (1 + self.others.len());
        for (place, device) in std::iter::once(&self.first).chain(&self.others).enumerate() {
            let seen = self.others.iter().take(place.saturating_sub(1)).any(|other| other == device);
            if place == 0 || !(seen || *device == self.first) {
                let place = (here + place) as u64;
                device.seed(if place == 0 { seed } else { mix(seed, place) });
            }
        }
    }
}

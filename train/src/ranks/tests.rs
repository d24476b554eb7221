//! The law of several ranks: they end with the same bits as one process.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::threads::{ranks, together};
use super::{Held, Ranks, Team};
use crate::optim::{OptimConfig, Optimizer};
use crate::run::{Metrics, Said, Snapshot, in_parts};
use crate::{Error, Result};

/// A layer that every part uses and one that only odd parts use.
#[derive(Module, Debug)]
struct Net {
    all: Linear,
    odd: Linear,
    never: Param<Tensor<1>>,
}

fn net(device: &Device) -> Net {
    device.seed(3);
    let never = Param::from_tensor(Tensor::ones([3], device));
    Net { all: LinearConfig::new(5, 7).init(device), odd: LinearConfig::new(7, 2).init(device), never }
}

/// One part: `(number of the part, its rows)`.
fn job((part, rows): (usize, usize), net: Net, device: &Device) -> Result<(GradientsParams, Said)> {
    let net = net.fork(device);
    let x = Tensor::<1, burn::tensor::Int>::arange(0..5 * rows as i64, device).float().reshape([rows, 5]);
    let y = net.all.forward(x.sin() + part as f32 * 0.1);
    let loss = if part % 2 == 1 { net.odd.forward(y).powi_scalar(2).mean() } else { y.exp().mean() };
    let value = f64::from(loss.clone().into_scalar::<f32>());
    let name = if part % 2 == 1 { "odd" } else { "even" };
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    Ok((grads, Said { rows: rows as f64, losses: vec![(name.into(), value)] }))
}

/// Trains a few steps of five parts, and says what came of it: hash of weights and moments, metrics.
fn train(net: Net, team: &Team) -> (String, Vec<Metrics>) {
    let mut optimizer = Optimizer::new(OptimConfig::default());
    let (mut net, mut all) = (net, Vec::new());
    for step in 0..4 {
        let parts: Vec<_> = (0..5).map(|part| (part, 1 + (part + step) % 3)).collect();
        let (grads, said) = in_parts(&net, parts, team, true, job).unwrap();
        let (next, made) = optimizer.learn(1e-2, net, grads, Said::means(&said));
        net = next;
        all.push(made.metrics);
    }
    let snapshot = Snapshot::new().module("weights", &net);
    (optimizer.snapshot(snapshot, "optimizer").sha256(), all)
}

#[test]
fn any_number_of_ranks_makes_the_bits_of_one_process() {
    let device = Device::flex().autodiff();
    let net = net(&device);
    let alone = train(net.clone(), &Team::alone(device));
    for world in [1, 2, 3, 4, 7] {
        let ended = together(world, |ranks| train(net.clone(), &Team::open(&ranks, ["cpu"]).unwrap()));
        for (rank, ended) in ended.iter().enumerate() {
            assert_eq!(*ended, alone, "rank {rank} of {world}");
        }
    }
}

#[test]
fn devices_that_share_a_step_make_the_bits_of_one() {
    let device = Device::flex().autodiff();
    let net = net(&device);
    let alone = train(net.clone(), &Team::alone(device));
    let shared = Team::open(&Ranks::alone(), ["cpu", "cpu"]).unwrap();
    assert_eq!(train(net.clone(), &shared), alone);
    let both = together(2, |ranks| train(net.clone(), &Team::open(&ranks, ["cpu", "cpu"]).unwrap()));
    assert!(both.iter().all(|ended| *ended == alone));
}

#[test]
fn what_fails_on_one_rank_fails_on_all_and_rank_0_tells_it() {
    let device = Device::flex().autodiff();
    let net = net(&device);
    let fault = |part: (usize, usize), net: Net, device: &Device| match part.0 {
        2 => Err(Error::config("a bad row").with_hint("mend it")),
        _ => job(part, net, device),
    };
    let ended = together(2, |ranks| {
        let parts = (0..5).map(|part| (part, 1)).collect();
        in_parts(&net, parts, &Team::open(&ranks, ["cpu"]).unwrap(), true, fault).err().unwrap()
    });
    // Part 2 is rank 0's second.
    assert!(matches!(ended[0], Error::Config { .. }), "{:?}", ended[0]);
    assert_eq!(ended[1].to_string(), "process 0: a bad row");
    assert_eq!((ended[1].hint().as_deref(), ended[1].exit_code()), (Some("mend it"), 2));
    let ended = together(3, |ranks| {
        ranks.agree(if ranks.rank() == 2 { Err(Error::Locked("run".into())) } else { Ok(()) }).unwrap_err()
    });
    assert!(
        ended.iter().all(|error| error.to_string().starts_with("process 2: run") && error.exit_code() == 75)
    );
}

#[test]
fn a_number_that_is_not_finite_reaches_all_ranks() {
    let said = together(2, |ranks| {
        let mine = [f64::NAN, f64::NEG_INFINITY][ranks.rank()];
        ranks.tell(Ok(Said { rows: 0.1 + 0.2, losses: vec![("loss".into(), mine)] })).unwrap()
    });
    for said in said {
        assert!(said[0].losses[0].1.is_nan());
        assert_eq!((said[1].rows, said[1].losses[0].1), (0.1 + 0.2, f64::NEG_INFINITY));
    }
}

#[test]
fn ranks_that_hold_different_things_are_refused() {
    let held = |what: usize| {
        let mut words = ["c", "d", "w"].map(str::to_owned);
        if let Some(word) = words.get_mut(what) {
            word.push('!');
        }
        let [config, data, weights] = words;
        Held { step: 3, config, data, weights }
    };
    let fault = |what| {
        let ended = together(3, |ranks| {
            held(if ranks.rank() == 1 { what } else { 9 }).compare(&ranks).map(|held| held.len())
        });
        ended.into_iter().map(|end| end.map_err(|error| error.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(fault(9), [Ok(3), Ok(3), Ok(3)]);
    for (what, words) in ["another configuration", "other data", "other weights"].into_iter().enumerate() {
        let told = format!("rank 1 has {words} than rank 0 at step 3");
        let followed = format!("process 0: {told}");
        assert_eq!(fault(what), [Err(told), Err(followed.clone()), Err(followed)]);
    }
}

#[test]
fn a_batch_that_leaves_somebody_idle_is_refused() {
    let team = |world: usize, devices: &[&str]| {
        let ranks = ranks(world).remove(0);
        Team::open(&ranks, devices.iter().copied()).unwrap()
    };
    assert!(team(4, &["cpu"]).check(4, 1).is_ok());
    assert_eq!(team(4, &["cpu"]).parts(6), 8);
    let error = team(4, &["cpu"]).check(3, 1).unwrap_err();
    assert_eq!(error.to_string(), "data.batch_size: 3 rows for 4 processes");
    let error = team(1, &["cpu", "cpu"]).check(8, 1).unwrap_err();
    assert_eq!(error.hint().unwrap(), "make it a multiple of 2");
    assert!(Team::open(&Ranks::alone(), []).is_err());
}

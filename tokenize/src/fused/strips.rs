//! Convolutions as matrix products over strips of eight output positions side by side.
//!
//! A [`Scheme`] says how the pixels under a strip become the right side of one or more matrix products, how a kernel
//! becomes the left side, and how the results become output pixels. The rest is the same for all: strips are taken a few
//! panels at a time, so that both sides stay in the second-level cache, and the work is split over bands of strips and
//! groups of output channels. No sum crosses a border of that split, so the number of threads changes nothing.

use std::cell::RefCell;

use rayon::prelude::*;
use wide::f32x8;

use super::product::{Block, COLUMNS, LANES, Panel, ROWS, Tile, VECTORS, lanes, load, product, store};

/// Panels that are worked on at a time.
const PANELS: usize = 2;
/// Length of the shared side that a register tile runs over at once: a panel of so many rows fits the first-level cache.
const DEPTH: usize = 256;
/// Tasks per thread that a call is split into where it can be.
const TASKS: usize = 4;
/// Fewest output channels of a task: each task gathers the pixels again.
const CHANNELS: usize = 64;

/// A way to compute a convolution.
pub(super) trait Scheme {
    /// Independent matrix products.
    const PRODUCTS: usize;
    /// Values of the shared side of a product that come from one input channel.
    const SHARED: usize;
    /// Values of the kernel between two channels.
    const TAPS: usize;
    /// Rows of output pixels that a strip covers.
    const HEIGHT: usize;
    /// Columns of output pixels that a strip covers.
    const WIDTH: usize;

    /// Puts the values of a kernel as (product, place on the shared side, value).
    fn kernel(taps: &[f32], put: impl FnMut(usize, usize, f32));

    /// Puts what the strip whose upper left output pixel is at (`y`, `x`) sees of an input channel.
    fn gather(plane: &Plane<'_>, y: usize, x: usize, put: impl FnMut(usize, usize, f32x8));

    /// Writes a strip's pixels from the results of its products, plus `bias`; `rows` are whole output rows.
    #[inline(always)]
    fn scatter(result: impl Fn(usize) -> f32x8, bias: f32, rows: &mut [f32], width: usize, x: usize) {
        let pixels = (result(0) + f32x8::splat(bias)).to_array();
        let end = width.min(x + LANES);
        rows[x..end].copy_from_slice(&pixels[..end - x]);
    }
}

/// An input channel of one picture.
pub(super) struct Plane<'a> {
    pub(super) values: &'a [f32],
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Pixels of a row under a strip of [`LANES`] pairs: one more on either side.
pub(super) type Window = [f32; 2 * LANES + 2];

impl Plane<'_> {
    /// The pixels of row `y - border` from column `x - border` on, zeros beyond the edges.
    #[inline(always)]
    pub(super) fn window<const BORDER: usize>(&self, y: usize, x: usize) -> Window {
        let mut window = [0.0; 2 * LANES + 2];
        if y < BORDER || y - BORDER >= self.height {
            return window;
        }
        let row = &self.values[(y - BORDER) * self.width..][..self.width];
        if BORDER == 1 && x > 0 {
            window[0] = row[x - 1];
        }
        match row[x..].first_chunk::<{ 2 * LANES }>() {
            Some(whole) => {
                window[BORDER..BORDER + 2 * LANES].copy_from_slice(whole);
                window[BORDER + 2 * LANES] = row.get(x + 2 * LANES).copied().unwrap_or(0.0);
            }
            None => window[BORDER..][..row.len() - x].copy_from_slice(&row[x..]),
        }
        window
    }
}

/// Every second pixel of a window from `from` on.
#[inline(always)]
pub(super) fn every_second(window: &Window, from: usize) -> f32x8 {
    f32x8::new(std::array::from_fn(|i| window[2 * i + from]))
}

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) batch: usize,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    /// Height and width of an input plane.
    pub(super) from: [usize; 2],
    /// Height and width of an output plane.
    pub(super) to: [usize; 2],
}

/// How a call is split.
struct Split {
    /// Rows of strips in a picture.
    down: usize,
    /// Strips in a row.
    across: usize,
    /// Rows of strips per task.
    rows: usize,
    /// Output channels per task, a multiple of [`ROWS`].
    channels: usize,
}

impl Split {
    fn new<S: Scheme>(size: &Size) -> Self {
        let (down, across) = (size.to[0].div_ceil(S::HEIGHT), size.to[1].div_ceil(S::WIDTH));
        // So many rows that the strips of a task fill its panels.
        let strips = PANELS * VECTORS;
        let rows = strips / common_divisor(strips, across);
        let wanted = TASKS * rayon::current_num_threads();
        let groups = wanted.div_ceil((size.batch * down).div_ceil(rows));
        let channels = size.channels_out.div_ceil(groups).max(CHANNELS).next_multiple_of(ROWS);
        Self { down, across, rows, channels: channels.min(size.channels_out.next_multiple_of(ROWS)) }
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The output pixels that a task writes.
struct Task<'a> {
    /// First row of strips, counted over the batch.
    first: usize,
    /// First output channel.
    channel: usize,
    /// For each row of strips its output rows in every channel.
    rows: Vec<Vec<&'a mut [f32]>>,
}

/// Kernels as left sides: `[output channels / 4][product][shared side][4]`.
fn pack<S: Scheme>(size: &Size, weight: &[f32]) -> Vec<Block> {
    let shared = size.channels_in * S::SHARED;
    let mut packed = vec![[0.0; ROWS]; size.channels_out.div_ceil(ROWS) * S::PRODUCTS * shared];
    let rows = weight.par_chunks(ROWS * size.channels_in * S::TAPS);
    packed.par_chunks_mut(S::PRODUCTS * shared).zip(rows).for_each(|(block, rows)| {
        // Channel by channel, so that the four values of a block are written one after the other.
        for c in 0..size.channels_in {
            for (o, row) in rows.chunks_exact(size.channels_in * S::TAPS).enumerate() {
                S::kernel(&row[c * S::TAPS..][..S::TAPS], |product, place, value| {
                    block[product * shared + c * S::SHARED + place][o] = value;
                });
            }
        }
    });
    packed
}

/// `[b, ci, h, w]` and `[co, ci, taps]` → `[b, co, h', w']`
pub(super) fn forward<S: Scheme>(size: &Size, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let area = size.to[0] * size.to[1];
    let mut y = vec![0.0; size.batch * size.channels_out * area];
    if y.is_empty() || x.is_empty() {
        return y;
    }
    let packed = pack::<S>(size, weight);
    let split = Split::new::<S>(size);
    let groups = size.channels_out.div_ceil(split.channels);
    let total = size.batch * split.down;
    let mut tasks: Vec<Task<'_>> = (0..total.div_ceil(split.rows) * groups)
        .map(|task| {
            let first = task / groups * split.rows;
            let rows = split.rows.min(total - first);
            let rows = (0..rows).map(|_| Vec::with_capacity(split.channels)).collect();
            Task { first, channel: task % groups * split.channels, rows }
        })
        .collect();
    for (plane, y) in y.chunks_exact_mut(area).enumerate() {
        let (picture, channel) = (plane / size.channels_out, plane % size.channels_out);
        for (row, y) in y.chunks_mut(S::HEIGHT * size.to[1]).enumerate() {
            let row = picture * split.down + row;
            let task = row / split.rows * groups + channel / split.channels;
            tasks[task].rows[row % split.rows].push(y);
        }
    }
    tasks.into_par_iter().for_each(|mut task| {
        SCRATCH.with_borrow_mut(|scratch| run::<S>(size, &split, x, &packed, bias, &mut task, scratch));
    });
    y
}

/// Right sides and results of a task, kept from call to call: fresh memory must be cleared by the system first.
#[derive(Default)]
struct Scratch {
    /// `[product][panel][shared side]`
    gathered: Vec<Panel>,
    /// `[output channel][product][panel]`
    results: Vec<Panel>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Where a strip of a task lies.
struct Place {
    /// Row of strips in the task.
    row: usize,
    /// First output column.
    x: usize,
    panel: usize,
    lane: usize,
}

impl Place {
    /// The `n`th of those strips of a task that begin with `first`.
    fn new<S: Scheme>(split: &Split, first: usize, n: usize) -> Self {
        let (row, column) = ((first + n) / split.across, (first + n) % split.across);
        Self { row, x: column * S::WIDTH, panel: n / VECTORS, lane: n % VECTORS * LANES }
    }
}

/// All strips of a task.
fn run<S: Scheme>(
    size: &Size,
    split: &Split,
    x: &[f32],
    packed: &[Block],
    bias: Option<&[f32]>,
    task: &mut Task<'_>,
    scratch: &mut Scratch,
) {
    let shared = size.channels_in * S::SHARED;
    let blocks = split.channels.min(size.channels_out - task.channel).div_ceil(ROWS);
    scratch.gathered.resize(S::PRODUCTS * PANELS * shared, [0.0; COLUMNS]);
    scratch.results.resize(blocks * ROWS * S::PRODUCTS * PANELS, [0.0; COLUMNS]);
    let left = &packed[task.channel / ROWS * S::PRODUCTS * shared..][..blocks * S::PRODUCTS * shared];
    let strips = task.rows.len() * split.across;
    for first in (0..strips).step_by(PANELS * VECTORS) {
        let count = (strips - first).min(PANELS * VECTORS);
        for place in (0..count).map(|n| Place::new::<S>(split, first, n)) {
            gather::<S>(size, split, x, task.first + place.row, &place, &mut scratch.gathered);
        }
        multiply::<S>(left, shared, count.div_ceil(VECTORS), scratch);
        for place in (0..count).map(|n| Place::new::<S>(split, first, n)) {
            let at = place.panel;
            for (o, rows) in task.rows[place.row].iter_mut().enumerate() {
                let bias = bias.map_or(0.0, |bias| bias[task.channel + o]);
                let results = &scratch.results[o * S::PRODUCTS * PANELS..][..S::PRODUCTS * PANELS];
                let result = |product: usize| lanes(&results[product * PANELS + at][place.lane..]);
                S::scatter(result, bias, rows, size.to[1], place.x);
            }
        }
    }
}

/// What a strip sees of all input channels.
#[inline(always)]
fn gather<S: Scheme>(
    size: &Size,
    split: &Split,
    x: &[f32],
    row: usize,
    place: &Place,
    gathered: &mut [Panel],
) {
    let [height, width] = size.from;
    let shared = size.channels_in * S::SHARED;
    let picture = size.channels_in * height * width;
    let planes = x[row / split.down * picture..][..picture].chunks_exact(height * width);
    for (c, values) in planes.enumerate() {
        let plane = Plane { values, height, width };
        S::gather(&plane, row % split.down * S::HEIGHT, place.x, |product, at, vector| {
            let panel = &mut gathered[(product * PANELS + place.panel) * shared + c * S::SHARED + at];
            panel[place.lane..place.lane + LANES].copy_from_slice(vector.as_array());
        });
    }
}

/// All products of the gathered panels.
fn multiply<S: Scheme>(left: &[Block], shared: usize, panels: usize, scratch: &mut Scratch) {
    let blocks = left.len() / (S::PRODUCTS * shared);
    for (index, from) in (0..S::PRODUCTS).flat_map(|i| (0..shared).step_by(DEPTH).map(move |from| (i, from)))
    {
        let depth = DEPTH.min(shared - from);
        for block in 0..blocks {
            let left = &left[(block * S::PRODUCTS + index) * shared + from..][..depth];
            for panel in 0..panels {
                let right = &scratch.gathered[(index * PANELS + panel) * shared + from..][..depth];
                let at = |row: usize| ((block * ROWS + row) * S::PRODUCTS + index) * PANELS + panel;
                let mut tile: Tile = [[f32x8::ZERO; VECTORS]; ROWS];
                if from > 0 {
                    tile = std::array::from_fn(|row| load(&scratch.results[at(row)]));
                }
                for (row, sums) in product(left, right, tile).iter().enumerate() {
                    store(sums, &mut scratch.results[at(row)]);
                }
            }
        }
    }
}

//! The network as a table, in the names of torchvision's `Inception3`.

/// 3 × 3 pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// The mean of what is inside the picture; the size stays.
    Average,
    /// The maximum; the size stays.
    Max,
    /// The maximum of every other place.
    Halve,
}

/// One convolution: its name in the block, its channels, its kernel (height, width), its stride, and whether zeros around
/// the picture keep its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub(super) name: &'static str,
    pub(super) channels: usize,
    pub(super) kernel: [usize; 2],
    pub(super) stride: usize,
    pub(super) same: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    Layer(Layer),
    Pool(Pool),
    Fork(Vec<Layer>),
}

/// Name of a block, empty for the layers before the first, and its branches.
pub(super) type Plan = (&'static str, Vec<Vec<Part>>);

const fn layer(name: &'static str, channels: usize, kernel: [usize; 2]) -> Layer {
    Layer { name, channels, kernel, stride: 1, same: true }
}

const fn square(name: &'static str, channels: usize, side: usize) -> Part {
    Part::Layer(layer(name, channels, [side, side]))
}

const fn flat(name: &'static str, channels: usize, kernel: [usize; 2]) -> Part {
    Part::Layer(layer(name, channels, kernel))
}

/// 3 × 3 without zeros around the picture.
const fn valid(name: &'static str, channels: usize, stride: usize) -> Part {
    Part::Layer(Layer { name, channels, kernel: [3, 3], stride, same: false })
}

pub(super) fn network() -> Vec<Plan> {
    vec![
        ("", stem()),
        ("Mixed_5b", a(32)),
        ("Mixed_5c", a(64)),
        ("Mixed_5d", a(64)),
        ("Mixed_6a", b()),
        ("Mixed_6b", c(128)),
        ("Mixed_6c", c(160)),
        ("Mixed_6d", c(160)),
        ("Mixed_6e", c(192)),
        ("Mixed_7a", d()),
        ("Mixed_7b", e(Pool::Average)),
        ("Mixed_7c", e(Pool::Max)),
    ]
}

fn stem() -> Vec<Vec<Part>> {
    vec![vec![
        valid("Conv2d_1a_3x3", 32, 2),
        valid("Conv2d_2a_3x3", 32, 1),
        square("Conv2d_2b_3x3", 64, 3),
        Part::Pool(Pool::Halve),
        square("Conv2d_3b_1x1", 80, 1),
        valid("Conv2d_4a_3x3", 192, 1),
        Part::Pool(Pool::Halve),
    ]]
}

fn a(pooled: usize) -> Vec<Vec<Part>> {
    vec![
        vec![square("branch1x1", 64, 1)],
        vec![square("branch5x5_1", 48, 1), square("branch5x5_2", 64, 5)],
        vec![
            square("branch3x3dbl_1", 64, 1),
            square("branch3x3dbl_2", 96, 3),
            square("branch3x3dbl_3", 96, 3),
        ],
        vec![Part::Pool(Pool::Average), square("branch_pool", pooled, 1)],
    ]
}

fn b() -> Vec<Vec<Part>> {
    vec![
        vec![valid("branch3x3", 384, 2)],
        vec![
            square("branch3x3dbl_1", 64, 1),
            square("branch3x3dbl_2", 96, 3),
            valid("branch3x3dbl_3", 96, 2),
        ],
        vec![Part::Pool(Pool::Halve)],
    ]
}

/// A square of 7 × 7 as a row and a column.
fn c(inner: usize) -> Vec<Vec<Part>> {
    let (row, column) = ([1, 7], [7, 1]);
    vec![
        vec![square("branch1x1", 192, 1)],
        vec![
            square("branch7x7_1", inner, 1),
            flat("branch7x7_2", inner, row),
            flat("branch7x7_3", 192, column),
        ],
        vec![
            square("branch7x7dbl_1", inner, 1),
            flat("branch7x7dbl_2", inner, column),
            flat("branch7x7dbl_3", inner, row),
            flat("branch7x7dbl_4", inner, column),
            flat("branch7x7dbl_5", 192, row),
        ],
        vec![Part::Pool(Pool::Average), square("branch_pool", 192, 1)],
    ]
}

fn d() -> Vec<Vec<Part>> {
    vec![
        vec![square("branch3x3_1", 192, 1), valid("branch3x3_2", 320, 2)],
        vec![
            square("branch7x7x3_1", 192, 1),
            flat("branch7x7x3_2", 192, [1, 7]),
            flat("branch7x7x3_3", 192, [7, 1]),
            valid("branch7x7x3_4", 192, 2),
        ],
        vec![Part::Pool(Pool::Halve)],
    ]
}

fn e(pool: Pool) -> Vec<Vec<Part>> {
    let fork = |names: [&'static str; 2]| {
        Part::Fork(vec![layer(names[0], 384, [1, 3]), layer(names[1], 384, [3, 1])])
    };
    vec![
        vec![square("branch1x1", 320, 1)],
        vec![square("branch3x3_1", 384, 1), fork(["branch3x3_2a", "branch3x3_2b"])],
        vec![
            square("branch3x3dbl_1", 448, 1),
            square("branch3x3dbl_2", 384, 3),
            fork(["branch3x3dbl_3a", "branch3x3dbl_3b"]),
        ],
        vec![Part::Pool(pool), square("branch_pool", 192, 1)],
    ]
}

//! A curve cut into as many columns as there is room for, each with its extremes.

/// The points of a curve that fall into one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) mean: f64,
    /// In the order of the curve.
    pub(super) first: f64,
    pub(super) last: f64,
    count: u32,
}

impl Column {
    fn new(value: f64) -> Self {
        Self { low: value, high: value, mean: value, first: value, last: value, count: 1 }
    }

    fn add(&mut self, value: f64) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        self.last = value;
        self.count += 1;
        self.mean += (value - self.mean) / f64::from(self.count);
    }
}

/// Cuts what lies between two steps into columns. One without points has none.
pub(super) fn columns(points: &[(f64, f64)], x: (f64, f64), count: usize) -> Vec<Option<Column>> {
    let mut columns: Vec<Option<Column>> = vec![None; count];
    let width = (x.1 - x.0).max(f64::MIN_POSITIVE);
    for (step, value) in points.iter().filter(|(step, value)| step.is_finite() && value.is_finite()) {
        let share = (step - x.0) / width;
        // The last step belongs to the last column.
        let place = (share * count as f64).min(count as f64 - 1.0);
        if place < 0.0 {
            continue;
        }
        match columns.get_mut(place as usize) {
            Some(Some(column)) => column.add(*value),
            Some(empty) => *empty = Some(Column::new(*value)),
            None => {}
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_of_one_line_stays() {
        let mut points: Vec<_> = (0..1000).map(|step| (f64::from(step), 1.0)).collect();
        points[501].1 = 9.0;
        let columns = columns(&points, (0.0, 999.0), 10);
        assert_eq!(columns.iter().flatten().filter(|column| column.high == 9.0).count(), 1);
        let spiked = columns[5].unwrap();
        assert_eq!((spiked.low, spiked.first, spiked.last), (1.0, 1.0, 1.0));
        assert!((spiked.mean - 1.08).abs() < 1e-9);
    }

    #[test]
    fn the_ends_have_their_columns_and_gaps_have_none() {
        let columns = columns(&[(0.0, 1.0), (10.0, 2.0), (10.0, f64::NAN)], (0.0, 10.0), 4);
        assert_eq!(columns, [Some(Column::new(1.0)), None, None, Some(Column::new(2.0))]);
        assert!(super::columns(&[], (0.0, 10.0), 2).iter().all(Option::is_none));
    }
}

//! A number that follows the step: constant, along straight lines, or in jumps.
//!
//! ```toml
//! image = 7.0                                             # a number
//! image = [[0, 1.0], [10000, 7.0]]                        # a straight line from step 0 to step 10000, then constant
//! image = { jumps = [[0, 1.0], [10000, 7.0]] }            # 1 up to step 9999, then 7
//! ```

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Values at steps, in the order of the steps.
type Points = Vec<(u64, f64)>;

/// A number as a function of the step alone, so that a resumed run goes on with the same one.
#[derive(Clone, Debug, PartialEq)]
pub enum Track {
    /// The same at every step.
    Constant(f64),
    /// Straight lines from point to point; before the first and after the last point their values.
    Lines(Points),
    /// Each value from its step on; before the first step its value as well.
    Jumps(Points),
}

impl Track {
    /// The number at `step`.
    #[must_use]
    pub fn at(&self, step: u64) -> f64 {
        let (points, line) = match self {
            Self::Constant(value) => return *value,
            Self::Lines(points) => (points, true),
            Self::Jumps(points) => (points, false),
        };
        let next = points.partition_point(|(at, _)| *at <= step);
        let before = points.get(next.saturating_sub(1)).copied();
        let (Some((from, low)), after) = (before, points.get(next)) else { return 0.0 };
        match after {
            Some((to, high)) if line && next > 0 => {
                low + (high - low) * ((step - from) as f64 / (to - from) as f64)
            }
            _ => low,
        }
    }

    /// The number of every step from some step on.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.at(u64::MAX)
    }

    /// The steps at which it takes another course; step 0 is one of them.
    pub fn turns(&self) -> impl Iterator<Item = u64> {
        let points = match self {
            Self::Constant(_) => &[][..],
            Self::Lines(points) | Self::Jumps(points) => points,
        };
        std::iter::once(0).chain(points.iter().map(|(step, _)| *step))
    }
}

impl From<f64> for Track {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl Serialize for Track {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(value) => serializer.serialize_f64(*value),
            Self::Lines(points) => points.serialize(serializer),
            Self::Jumps(points) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(JUMPS, points)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Track {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrPoints)
    }
}

const JUMPS: &str = "jumps";

struct NumberOrPoints;

impl<'de> Visitor<'de> for NumberOrPoints {
    type Value = Track;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a list of [step, value], or { jumps = [[step, value], ...] }")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Track, E> {
        Ok(Track::Constant(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Track, E> {
        let value = i32::try_from(value).map_err(E::custom)?;
        self.visit_f64(f64::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Track, A::Error> {
        let mut points = Points::new();
        while let Some(point) = list.next_element()? {
            points.push(point);
        }
        sorted(points).map(Track::Lines).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Track, A::Error> {
        let mut points = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != JUMPS {
                return Err(A::Error::unknown_field(&key, &[JUMPS]));
            }
            points = Some(map.next_value::<Points>()?);
        }
        sorted(points.unwrap_or_default()).map(Track::Jumps).map_err(A::Error::custom)
    }
}

/// Points whose order leaves no doubt.
fn sorted(points: Points) -> Result<Points, &'static str> {
    if points.is_empty() {
        return Err("no [step, value]");
    }
    if points.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("steps must rise from one [step, value] to the next");
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        x: Track,
    }

    fn track(text: &str) -> Track {
        toml::from_str::<Holder>(&format!("x = {text}")).unwrap().x
    }

    #[test]
    fn each_form_reads_and_writes_the_same() {
        let at = |text: &str| [0, 9, 10, 15, 20, 1000].map(|step| track(text).at(step));
        assert_eq!(at("7.5"), [7.5; 6]);
        assert_eq!(at("7"), [7.0; 6]);
        assert_eq!(at("[[10, 1.0], [20, 3]]"), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(at("{ jumps = [[0, 1.0], [10, 2.0], [20, 0.5]] }"), [1.0, 1.0, 2.0, 2.0, 0.5, 0.5]);
        assert_eq!(at("{ jumps = [[10, 2.0]] }"), [2.0; 6]);
        for text in ["0.25", "[[10, 1.0], [20, 3.0]]", "{ jumps = [[0, 1.0]] }"] {
            let holder = Holder { x: track(text) };
            let written = toml::to_string(&holder).unwrap();
            assert_eq!(toml::from_str::<Holder>(&written).unwrap(), holder, "{written}");
        }
        // A configuration of before there were tracks is written as it was.
        assert_eq!(toml::to_string(&Holder { x: 7.0.into() }).unwrap(), "x = 7.0\n");
    }

    #[test]
    fn what_is_no_track_is_refused() {
        let fault =
            |text: &str| toml::from_str::<Holder>(&format!("x = {text}")).unwrap_err().message().to_owned();
        assert!(fault("'fast'").contains("a number, a list of [step, value]"));
        assert!(fault("[]").contains("no [step, value]"));
        assert!(fault("[[5, 1.0], [5, 2.0]]").contains("steps must rise"));
        assert!(fault("{ jump = [[5, 1.0]] }").contains("`jump`"));
        assert!(fault("{}").contains("no [step, value]"));
    }

    proptest! {
        #[test]
        fn it_stays_between_its_values_and_meets_its_points(
            values in proptest::collection::vec((1u64..50, -3.0f64..3.0), 1..6), step in 0u64..400,
        ) {
            let mut at = 0;
            let points: Points = values.iter().map(|(gap, value)| { at += gap; (at, *value) }).collect();
            let low = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
            let high = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
            for track in [Track::Lines(points.clone()), Track::Jumps(points.clone())] {
                prop_assert!((low - 1e-9..=high + 1e-9).contains(&track.at(step)));
                for (step, value) in &points {
                    prop_assert_eq!(track.at(*step), *value);
                }
                prop_assert_eq!(track.last(), points[points.len() - 1].1);
            }
        }
    }
}

//! Answers with their time to live, and which look-ups are under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::Lookup;

/// A look-up under way: `None` until it is answered.
pub(super) type Flight = watch::Receiver<Option<Lookup>>;

/// What is known of a name.
pub(super) enum Known {
    /// A fresh answer.
    Answer(Lookup),
    /// Somebody has asked already.
    Asked(Flight),
    /// Nothing: the caller asks, and tells the others.
    Unknown(watch::Sender<Option<Lookup>>, Flight),
}

/// Bounded: of two generations the older one is dropped when the younger one is full, so that a name in use stays.
pub(super) struct Cache {
    young: HashMap<Arc<str>, Entry>,
    old: HashMap<Arc<str>, Entry>,
    /// Names in a generation.
    limit: usize,
    flights: HashMap<Arc<str>, Flight>,
}

#[derive(Clone)]
struct Entry {
    lookup: Lookup,
    until: Instant,
}

impl Cache {
    /// For up to `names` answers.
    pub(super) fn new(names: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            limit: names.div_ceil(2).max(1),
            flights: HashMap::new(),
        }
    }

    /// The answer, if it is fresh.
    pub(super) fn get(&mut self, name: &str, now: Instant) -> Option<Lookup> {
        if let Some(entry) = self.young.get(name) {
            return (entry.until > now).then(|| entry.lookup.clone());
        }
        let (name, entry) = self.old.remove_entry(name)?;
        if entry.until <= now {
            return None;
        }
        let lookup = entry.lookup.clone();
        self.put(name, entry);
        Some(lookup)
    }

    /// The answer, or the look-up that will bring it; a new look-up is entered.
    pub(super) fn enter(&mut self, name: &str, now: Instant) -> Known {
        if let Some(lookup) = self.get(name, now) {
            return Known::Answer(lookup);
        }
        if let Some(flight) = self.flights.get(name) {
            return Known::Asked(flight.clone());
        }
        let (sender, flight) = watch::channel(None);
        self.flights.insert(name.into(), flight.clone());
        Known::Unknown(sender, flight)
    }

    /// A look-up has been answered.
    pub(super) fn insert(&mut self, name: &str, lookup: Lookup, until: Instant) {
        self.put(name.into(), Entry { lookup, until });
    }

    /// A look-up is over, answered or not.
    pub(super) fn land(&mut self, name: &str) {
        self.flights.remove(name);
    }

    fn put(&mut self, name: Arc<str>, entry: Entry) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, entry);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    fn answer(last: u8) -> Lookup {
        Ok([IpAddr::from([192, 0, 1, last])].into())
    }

    #[test]
    fn an_answer_lasts_as_long_as_it_says() {
        let mut cache = Cache::new(10);
        let now = Instant::now();
        cache.insert("a.test", answer(1), now + Duration::from_secs(30));
        assert_eq!(cache.get("a.test", now + Duration::from_secs(29)), Some(answer(1)));
        assert_eq!(cache.get("a.test", now + Duration::from_secs(30)), None);
        assert_eq!(cache.get("b.test", now), None);
    }

    #[test]
    fn it_stays_within_its_bounds_and_keeps_what_is_used() {
        let mut cache = Cache::new(100);
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        cache.insert("used.test", answer(1), until);
        for n in 0..10_000 {
            cache.insert(&format!("{n}.test"), answer(2), until);
            assert_eq!(cache.get("used.test", now), Some(answer(1)), "after {n} others");
            assert!(cache.len() <= 100);
        }
        assert_eq!(cache.get("0.test", now), None, "long unused");
    }

    #[test]
    fn one_asks_and_the_others_wait() {
        let mut cache = Cache::new(10);
        let now = Instant::now();
        assert!(matches!(cache.enter("a.test", now), Known::Unknown(..)));
        assert!(matches!(cache.enter("a.test", now), Known::Asked(_)));
        cache.land("a.test");
        assert!(matches!(cache.enter("a.test", now), Known::Unknown(..)), "it was not answered");
        cache.insert("a.test", answer(1), now + Duration::from_secs(60));
        assert!(matches!(cache.enter("a.test", now), Known::Answer(_)));
    }
}

//! The dates of `unavailable_after`: RFC 822, RFC 850 or ISO 8601, as Google's documentation allows.

use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// Whether the date has come; `None` if it is none.
pub(super) fn is_past(text: &str) -> Option<bool> {
    moment(text).map(|moment| moment <= Timestamp::now())
}

fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    mail(text).or_else(|| iso(text))
}

/// RFC 822 as RFC 2822 reads it (years of two digits, zones by name), and RFC 850, which differs by hyphens.
fn mail(text: &str) -> Option<Timestamp> {
    // The weekday says nothing, and RFC 850 spells it out.
    let text = match text.split_once(',') {
        Some((weekday, rest)) if weekday.chars().all(|c| c.is_ascii_alphabetic()) => rest.trim_start(),
        _ => text,
    };
    let (date, time) = text.split_once(' ')?;
    let text = match date.contains('-') {
        true => format!("{} {time}", date.replace('-', " ")),
        false => text.to_owned(),
    };
    DateTimeParser::new().parse_timestamp(text).ok()
}

/// With a zone or in UTC; a day begins at midnight.
fn iso(text: &str) -> Option<Timestamp> {
    let utc = |moment: DateTime| TimeZone::UTC.to_timestamp(moment).ok();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| text.parse::<civil::Date>().ok().and_then(|day| utc(day.at(0, 0, 0, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read() {
        for (text, wanted) in [
            ("25 Jun 2010 15:00:00 PST", "2010-06-25T23:00:00Z"),
            ("25 Jun 10 15:00 GMT", "2010-06-25T15:00:00Z"),
            ("Fri, 25 Jun 2010 15:00:00 +0200", "2010-06-25T13:00:00Z"),
            ("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"),
            ("25-Jun-2010 15:00:00 UTC", "2010-06-25T15:00:00Z"),
            ("2010-06-25T15:00:00+02:00", "2010-06-25T13:00:00Z"),
            ("2010-06-25 15:00:00", "2010-06-25T15:00:00Z"),
            ("2010-06-25", "2010-06-25T00:00:00Z"),
        ] {
            assert_eq!(moment(text).map(|moment| moment.to_string()).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "Friday", "soon", "25 Jun", "Fri, 25 Jun 2010 15:00:00 +0200, noai", "-"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}

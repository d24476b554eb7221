//! Why links have no picture, and how long those took that have one.

use maud::{Markup, html};

use super::super::record::{FailureReason, Failures, Host, Timing};
use super::tables::{Line, bar, counts, values};
use super::text::foreign;
use crate::page::{percent, thousands};

/// Reasons, hosts, opt-outs.
pub(super) fn failures(failures: &Failures) -> Markup {
    let failed = failures.rows - failures.pictures;
    let line = |reason: &FailureReason| Line { name: name(reason), rows: reason.rows };
    let lines: Vec<Line<Markup>> = failures.reasons.iter().map(line).collect();
    let share = failed as f64 / failures.rows.max(1) as f64;
    html! {
        p.text {
            (thousands(failed)) " of " (thousands(failures.rows)) " rows of " b { (foreign(&failures.folder)) } " have no picture ("
            (percent(share)) "). Each says why; " code { "pipeline explain" } " tells what to do about it."
        }
        (counts("reason", &lines, failures.rows))
        @if !failures.worst.is_empty() { (hosts(failures)) }
        @if !failures.opt_outs.is_empty() { (opt_outs(failures)) }
    }
}

fn name(reason: &FailureReason) -> Markup {
    html! {
        @match reason.text {
            Some(text) => { code { (reason.code) } span { (text) } }
            None => (foreign(&reason.code)),
        }
    }
}

fn hosts(failures: &Failures) -> Markup {
    let most = failures.worst.iter().map(|host| host.rows - host.pictures).max().unwrap_or(0);
    let more = failures.hosts.saturating_sub(failures.worst.len() as u64);
    html! {
        h3 { "Hosts with the most failures" }
        table {
            thead { tr {
                th scope="col" { "host" } th.number scope="col" { "rows" } th.number scope="col" { "with a picture" }
                th scope="col" { "most often" }
            } }
            tbody { @for host in &failures.worst { (host_line(host, most)) } }
        }
        @if more > 0 { p.note { "of " (thousands(failures.hosts)) " hosts" } }
    }
}

fn host_line(host: &Host, most: u64) -> Markup {
    html! {
        tr {
            th scope="row" { (foreign(&host.host)) (bar(host.rows - host.pictures, most)) }
            td.number { (thousands(host.rows)) }
            td.number { (percent(host.pictures as f64 / host.rows.max(1) as f64)) }
            td { (foreign(&host.reason)) }
        }
    }
}

fn opt_outs(failures: &Failures) -> Markup {
    let rows: u64 = failures.opt_outs.values().sum();
    html! {
        h3 { "Opt-outs" }
        p.text {
            (thousands(rows)) " rows were not taken because their sites do not want that: "
            @for (i, (reason, rows)) in failures.opt_outs.iter().enumerate() {
                @if i > 0 { ", " } code { (foreign(reason)) } " " (thousands(*rows))
            }
            "."
        }
        @if failures.rules.rows > 0 { (values("what they say", &failures.rules)) }
    }
}

/// Steps of downloads.
pub(super) fn timings(timings: &[Timing]) -> Markup {
    let step = |timing: &Timing| match timing.step.as_str() {
        "dns" => "looking up a host".to_owned(),
        "connect" => "opening a connection".to_owned(),
        "first_byte" => "waiting for the answer".to_owned(),
        "body" => "reading the body".to_owned(),
        "decode" => "decoding, resizing, encoding".to_owned(),
        other => other.to_owned(),
    };
    html! {
        h3 { "How long a download takes" }
        table {
            thead { tr {
                th scope="col" { "step" } th.number scope="col" { "times" } th.number scope="col" { "median" }
                th.number scope="col" { "99 of 100 below" }
            } }
            tbody {
                @for timing in timings {
                    tr {
                        th scope="row" { (foreign(&step(timing))) }
                        td.number { (thousands(timing.count)) }
                        td.number { (milliseconds(timing.p50_ms)) }
                        td.number { (milliseconds(timing.p99_ms)) }
                    }
                }
            }
        }
    }
}

fn milliseconds(time: f64) -> String {
    match time {
        ..10.0 => format!("{time:.1} ms"),
        ..1000.0 => format!("{time:.0} ms"),
        _ => format!("{:.1} s", time / 1000.0),
    }
}

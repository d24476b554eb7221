//! Why links have no picture, and how long those took that have one.

use maud::{Markup, html};

use super::super::record::{FailureReason, Failures, Host, Timing};
use super::tables::{Line, bar, counts, values};
use super::text::{foreign, number};
use crate::page::{percent, thousands};

/// Reasons, hosts, opt-outs.
pub(super) fn failures(failures: &Failures) -> Markup {
    let failed = failures.rows - failures.pictures;
    let line = |reason: &FailureReason| Line { name: name(reason), rows: reason.rows };
    let lines: Vec<Line<Markup>> = failures.reasons.iter().map(line).collect();
    let share = failed as f64 / failures.rows.max(1) as f64;
    html! {
        p.text {
            (thousands(failed)) " of " (thousands(failures.rows)) " links in folder " b { (foreign(&failures.folder)) }
            " gave no picture (" (percent(share)) "). " code { "pipeline explain REASON" } " tells what to do about it."
        }
        (counts(["reason", "rows"], &lines, failures.rows))
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
                th scope="col" { "host, and its most frequent reason" } th.number scope="col" { "failures" }
                th.number scope="col" { "of rows" }
            } }
            tbody { @for host in &failures.worst { (host_line(host, most)) } }
        }
        @if more > 0 { p.note { "There are " (thousands(failures.hosts)) " hosts in all." } }
    }
}

fn host_line(host: &Host, most: u64) -> Markup {
    let failed = host.rows - host.pictures;
    html! {
        tr {
            th scope="row" { (foreign(&host.host)) span { (foreign(&host.reason)) } (bar(failed, most)) }
            td.number { (thousands(failed)) }
            td.number { (thousands(host.rows)) }
        }
    }
}

fn opt_outs(failures: &Failures) -> Markup {
    let rows: u64 = failures.opt_outs.values().sum();
    html! {
        h3 { "Opt-outs" }
        p.text {
            (number(rows, "row was", "rows were")) " not taken because the sites ask not to be collected: "
            @for (i, (reason, rows)) in failures.opt_outs.iter().enumerate() {
                @if i > 0 { ", " } code { (foreign(reason)) } " " (thousands(*rows))
            }
            "."
        }
        @if failures.rules.rows > 0 { (values("what the sites say", &failures.rules, failures.rules.rows)) }
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
        p.note { "From the figures of each shard: the median of their medians, and the largest of their 99%." }
        table {
            thead { tr {
                th scope="col" { "step" } th.number scope="col" { "times" } th.number scope="col" { "median" }
                th.number scope="col" { "99% within" }
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
        ..0.1 => "< 0.1 ms".to_owned(),
        ..10.0 => format!("{time:.1} ms"),
        ..1000.0 => format!("{time:.0} ms"),
        _ => format!("{:.1} s", time / 1000.0),
    }
}

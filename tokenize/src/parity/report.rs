//! The table of a parity run.

use std::io::{self, Write};

use super::{Comparison, Verdict};
use crate::json_lines::json_line;

/// Prints case, output, largest difference, tolerance and verdict, one line each; JSON lines with `json`.
///
/// # Errors
/// The sink cannot be written.
pub fn report(out: &mut impl Write, lines: &[Comparison], json: bool) -> io::Result<()> {
    if json {
        for line in lines {
            writeln!(out, "{}", json_line("parity", line))?;
        }
        return Ok(());
    }
    let width = |longest: fn(&Comparison) -> usize, title: &str| {
        lines.iter().map(longest).max().unwrap_or(0).max(title.len())
    };
    let case = width(|line| line.case.len(), "case");
    let output = width(|line| line.output.len(), "output");
    let rule = width(|line| line.tolerance.len(), "tolerance");
    writeln!(
        out,
        "{:case$}  {:output$}  {:>10}  {:rule$}  result",
        "case", "output", "difference", "tolerance"
    )?;
    for line in lines {
        let result = match line.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
        };
        let difference =
            if line.difference == 0.0 { "0".to_owned() } else { format!("{:.2e}", line.difference) };
        writeln!(
            out,
            "{:case$}  {:output$}  {difference:>10}  {:rule$}  {result}",
            line.case, line.output, line.tolerance
        )?;
    }
    Ok(())
}

/// Whether there is something and all of it passed.
pub fn all_pass(lines: &[Comparison]) -> bool {
    !lines.is_empty() && lines.iter().all(|line| line.verdict == Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Comparison> {
        let line = |output: &str, difference, verdict| Comparison {
            case: "vqgan".into(),
            output: output.into(),
            difference,
            tolerance: "equal".into(),
            verdict,
        };
        vec![line("codes", 0.0, Verdict::Pass), line("decoded_raw", 0.0123, Verdict::Fail)]
    }

    #[test]
    fn the_table_lines_up() {
        let mut out = Vec::new();
        report(&mut out, &lines(), false).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        case   output       difference  tolerance  result
        vqgan  codes                 0  equal      pass
        vqgan  decoded_raw     1.23e-2  equal      FAIL
        ");
        assert!(!all_pass(&lines()) && all_pass(&lines()[..1]) && !all_pass(&[]));
    }

    #[test]
    fn json_lines_carry_type_and_version() {
        let mut out = Vec::new();
        report(&mut out, &lines()[..1], true).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"{"type":"parity","version":1,"case":"vqgan","output":"codes","difference":0.0,"tolerance":"equal","verdict":"pass"}"#);
    }
}

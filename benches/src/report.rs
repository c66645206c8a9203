//! What was measured, as a table, as JSON, and as a page.

use std::path::Path;

use serde::Serialize;

use crate::Failed;

/// One row of the table: medians over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Who, and how it is set up.
    pub name: String,
    /// Answers per ten seconds.
    pub per_ten_seconds: u64,
    /// Half of the answers took at most so long, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 answers took at most so long, in microseconds.
    pub p99_us: u64,
    /// Processor time of the measured process for one answer, in nanoseconds.
    pub cpu_ns: u64,
    /// The most memory the process had, in kilobytes.
    pub peak_kilobytes: u64,
    /// How many rounds.
    pub rounds: usize,
}

/// What has to come out.
#[derive(Clone, Debug)]
pub struct Goal {
    what: &'static str,
    of: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Answers per second, in percent of another row.
    AtLeast { beside: &'static str, percent: u64 },
    /// Answers per second.
    Rate { per_second: u64 },
    /// Processor time for one answer, in nanoseconds more than another row.
    CpuBeside { beside: &'static str, nanos: u64 },
    /// In microseconds.
    P50Below { micros: u64 },
    /// In microseconds.
    P99Below { micros: u64 },
    /// Of 1,024 kilobytes each, as in the table.
    MemoryBelow { megabytes: u64 },
}

/// A goal and what was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// What about.
    pub goal: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub measured: String,
    /// Whether that is enough.
    pub reached: bool,
}

/// A group of rows that were measured in turn.
#[derive(Clone, Debug, Serialize)]
pub struct GroupReport {
    /// Its name on the command line.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// The rows.
    pub lines: Vec<Line>,
    /// The goals that both sides were measured for.
    pub goals: Vec<Judged>,
    /// Rows that did not work, and why.
    pub failures: Vec<String>,
}

impl Goal {
    /// `of` answers at least `percent` of what `beside` does.
    pub(crate) const fn at_least(
        what: &'static str,
        of: &'static str,
        beside: &'static str,
        percent: u64,
    ) -> Self {
        let kind = Kind::AtLeast { beside, percent };
        Self { what, of, kind }
    }

    /// `of` gives at least so many answers in a second.
    pub(crate) const fn rate(what: &'static str, of: &'static str, per_second: u64) -> Self {
        let kind = Kind::Rate { per_second };
        Self { what, of, kind }
    }

    /// `of` takes less than `nanos` of processor time more than `beside`.
    pub(crate) const fn cpu_beside(
        what: &'static str,
        of: &'static str,
        beside: &'static str,
        nanos: u64,
    ) -> Self {
        let kind = Kind::CpuBeside { beside, nanos };
        Self { what, of, kind }
    }

    /// Half of the answers of `of` take less than `micros`.
    pub(crate) const fn p50_below(what: &'static str, of: &'static str, micros: u64) -> Self {
        let kind = Kind::P50Below { micros };
        Self { what, of, kind }
    }

    /// 99 of 100 answers of `of` take less than `micros`.
    pub(crate) const fn p99_below(what: &'static str, of: &'static str, micros: u64) -> Self {
        let kind = Kind::P99Below { micros };
        Self { what, of, kind }
    }

    /// `of` never has as much memory as this.
    pub(crate) const fn memory_below(what: &'static str, of: &'static str, megabytes: u64) -> Self {
        let kind = Kind::MemoryBelow { megabytes };
        Self { what, of, kind }
    }

    /// `None` when one of the rows was not measured.
    fn judge(&self, lines: &[Line]) -> Option<Judged> {
        let find = |name: &str| lines.iter().find(|line| line.name == name);
        let of = find(self.of)?;
        let (wanted, measured, reached) = match self.kind {
            Kind::AtLeast { beside, percent } => {
                let beside = find(beside)?.per_ten_seconds;
                let found = of.per_ten_seconds.saturating_mul(100).checked_div(beside)?;
                (
                    format!("at least {}", times(percent)),
                    times(found),
                    found >= percent,
                )
            }
            Kind::Rate { per_second } => {
                let wanted = per_second.saturating_mul(10);
                let found = of.per_ten_seconds;
                let each = |per_ten_seconds| format!("{} per second", rate(per_ten_seconds));
                (
                    format!("at least {}", each(wanted)),
                    each(found),
                    found >= wanted,
                )
            }
            Kind::CpuBeside { beside, nanos } => {
                let found = of.cpu_ns.saturating_sub(find(beside)?.cpu_ns);
                let wanted = format!("under {}", micros(nanos));
                (wanted, micros(found), found < nanos)
            }
            Kind::P50Below { micros: limit } => {
                let wanted = format!("under {}", latency(limit));
                (wanted, latency(of.p50_us), of.p50_us < limit)
            }
            Kind::P99Below { micros: limit } => {
                let wanted = format!("under {}", latency(limit));
                (wanted, latency(of.p99_us), of.p99_us < limit)
            }
            Kind::MemoryBelow { megabytes } => {
                let measured = format!("{} MB", in_megabytes(of.peak_kilobytes));
                let reached = of.peak_kilobytes >> 10 < megabytes;
                (format!("under {megabytes} MB"), measured, reached)
            }
        };
        Some(Judged {
            goal: self.what.to_owned(),
            wanted,
            measured,
            reached,
        })
    }
}

impl GroupReport {
    pub(crate) fn new(
        name: &str,
        title: &str,
        lines: Vec<Line>,
        goals: &[Goal],
        failures: Vec<String>,
    ) -> Self {
        let goals = goals.iter().filter_map(|goal| goal.judge(&lines)).collect();
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            lines,
            goals,
            failures,
        }
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("\n{} ({})\n", self.title, self.name);
        text.push_str(&format!(
            "  {:>10} {:>9} {:>9} {:>9} {:>9}\n",
            "per second", "p50", "p99", "CPU each", "peak MB"
        ));
        for line in &self.lines {
            let [rate, p50, p99, cpu, memory] = line.cells();
            text.push_str(&format!(
                "  {rate:>10} {p50:>9} {p99:>9} {cpu:>9} {memory:>9}  {}\n",
                line.name
            ));
        }
        for goal in &self.goals {
            let mark = if goal.reached { "ok  " } else { "MISS" };
            text.push_str(&format!(
                "  {mark} {}: {}, goal {}\n",
                goal.goal, goal.measured, goal.wanted
            ));
        }
        for failure in &self.failures {
            text.push_str(&format!("  FAILED {failure}\n"));
        }
        text
    }

    /// For a page.
    #[must_use]
    pub fn markdown(&self, about: &str) -> String {
        let mut text = format!(
            "### {}\n\n{about}\n\n| who | per second | p50 | p99 | CPU each | peak memory |\n|---|---|---|---|---|---|\n",
            self.title
        );
        for line in &self.lines {
            let [rate, p50, p99, cpu, memory] = line.cells();
            text.push_str(&format!(
                "| {} | {rate} | {p50} | {p99} | {cpu} | {memory} MB |\n",
                line.name
            ));
        }
        if !self.goals.is_empty() {
            text.push_str("\n| goal | wanted | measured | |\n|---|---|---|---|\n");
        }
        for goal in &self.goals {
            let mark = if goal.reached {
                "reached"
            } else {
                "**missed**"
            };
            text.push_str(&format!(
                "| {} | {} | {} | {mark} |\n",
                goal.goal, goal.wanted, goal.measured
            ));
        }
        text
    }
}

impl Line {
    fn cells(&self) -> [String; 5] {
        [
            rate(self.per_ten_seconds),
            latency(self.p50_us),
            latency(self.p99_us),
            micros(self.cpu_ns),
            in_megabytes(self.peak_kilobytes),
        ]
    }
}

fn in_megabytes(kilobytes: u64) -> String {
    tenths(kilobytes.saturating_mul(10) >> 10)
}

const BEGIN: &str = "<!-- load: begin -->";
const END: &str = "<!-- load: end -->";

/// Puts what was measured between the markers of a page, each group in the place of what was measured of it before.
///
/// # Errors
/// The page cannot be read or written, or has no markers.
pub fn write_page(page: &Path, about: &str, reports: &[GroupReport]) -> Result<(), Failed> {
    let mut text = std::fs::read_to_string(page)?;
    for report in reports {
        text = with_section(&text, &report.markdown(about))?;
    }
    Ok(std::fs::write(page, text)?)
}

/// The page with this section in the place of the one with the same title, or after all others.
fn with_section(text: &str, section: &str) -> Result<String, Failed> {
    let no_markers = || format!("the page has no {BEGIN} … {END}");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(no_markers)?;
    let (inner, after) = rest.split_once(END).ok_or_else(no_markers)?;
    let title = |section: &str| section.lines().next().map(str::to_owned);
    let mut sections: Vec<String> = inner
        .split(TITLE)
        .skip(1)
        .map(|old| format!("{TITLE}{}", old.trim_end()))
        .collect();
    let old = sections.iter().position(|old| title(old) == title(section));
    match old.and_then(|place| sections.get_mut(place)) {
        Some(old) => section.trim_end().clone_into(old),
        None => sections.push(section.trim_end().to_owned()),
    }
    let inner = sections.join("\n\n");
    Ok(format!("{before}{BEGIN}\n\n{inner}\n\n{END}{after}"))
}

/// How a section begins.
const TITLE: &str = "### ";

/// 1234.5 below a hundred, 12,345 above.
fn rate(per_ten_seconds: u64) -> String {
    if per_ten_seconds < 1_000 {
        return tenths(per_ten_seconds);
    }
    let whole = per_ten_seconds.checked_div(10).unwrap_or(0).to_string();
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && whole.len().saturating_sub(place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn tenths(value: u64) -> String {
    let (whole, rest) = split(value, 10);
    format!("{whole}.{rest}")
}

fn times(percent: u64) -> String {
    let (whole, rest) = split(percent, 100);
    format!("{whole}.{rest:02} times")
}

fn micros(nanos: u64) -> String {
    format!("{} µs", tenths(nanos.checked_div(100).unwrap_or(0)))
}

fn latency(micros: u64) -> String {
    if micros < 10_000 {
        format!("{micros} µs")
    } else {
        format!("{} ms", tenths(micros.checked_div(100).unwrap_or(0)))
    }
}

fn split(value: u64, by: u64) -> (u64, u64) {
    (
        value.checked_div(by).unwrap_or(0),
        value.checked_rem(by).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, per_ten_seconds: u64, cpu_ns: u64, p99_us: u64) -> Line {
        Line {
            name: name.to_owned(),
            per_ten_seconds,
            p50_us: 1,
            p99_us,
            cpu_ns,
            peak_kilobytes: 2048,
            rounds: 1,
        }
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(rate(1_234_567), "123,456");
        assert_eq!(rate(12_340), "1,234");
        assert_eq!(rate(87), "8.7");
        assert_eq!(times(130), "1.30 times");
        assert_eq!(micros(8_149), "8.1 µs");
        assert_eq!(latency(9_999), "9999 µs");
        assert_eq!(latency(12_345), "12.3 ms");
    }

    #[test]
    fn goals_are_judged_at_their_edge() {
        let lines = [
            line("a", 800, 30_000, 20_000),
            line("b", 100, 5_000, 19_999),
        ];
        let reached = |goal: Goal| goal.judge(&lines).map(|judged| judged.reached);
        assert_eq!(reached(Goal::at_least("", "a", "b", 800)), Some(true));
        assert_eq!(reached(Goal::at_least("", "a", "b", 801)), Some(false));
        assert_eq!(reached(Goal::cpu_beside("", "a", "b", 25_000)), Some(false));
        assert_eq!(reached(Goal::cpu_beside("", "a", "b", 25_001)), Some(true));
        assert_eq!(reached(Goal::p99_below("", "a", 20_000)), Some(false));
        assert_eq!(reached(Goal::p99_below("", "b", 20_000)), Some(true));
        assert_eq!(reached(Goal::at_least("", "a", "missing", 1)), None);
    }

    #[test]
    fn a_section_takes_the_place_of_the_one_with_its_title() {
        let page = format!("before\n### x\n{BEGIN}\n\n### A\n1\n\n### B\n2\n\n{END}\nafter\n");
        let made = with_section(&page, "### A\n3\n").unwrap();
        assert_eq!(made, page.replace('1', "3"));
        let made = with_section(&page, "### C\n4\n").unwrap();
        assert_eq!(made, page.replace("2\n", "2\n\n### C\n4\n"));
        let empty = format!("{BEGIN}{END}");
        let made = with_section(&empty, "### A\n1").unwrap();
        assert_eq!(made, format!("{BEGIN}\n\n### A\n1\n\n{END}"));
        assert!(with_section("nothing", "### A\n").is_err());
    }
}

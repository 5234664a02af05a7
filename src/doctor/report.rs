//! The lines of a report, and the text they are printed as.

use crate::render::counted;
use serde::Serialize;
use std::fmt::Write as _;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but slower or with less certainty than it could.
    Warning,
    /// It will not work.
    Failure,
    /// There was nothing to look at, or no way to.
    NotChecked,
}

impl Outcome {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::NotChecked => "not checked",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "32",
            Self::Warning => "33",
            Self::Failure => "31",
            Self::NotChecked => "2",
        }
    }
}

/// What a check belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Machine, system, power mode, clocks.
    Machine,
    /// Memory of the system.
    Memory,
    /// Driver, TensorRT, who else is there.
    Gpu,
    /// Bundles and engines.
    Models,
    /// Disk and dataset.
    Data,
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::Machine => "Machine",
            Self::Memory => "Memory",
            Self::Gpu => "GPU",
            Self::Models => "Models",
            Self::Data => "Data",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it belongs to.
    pub section: Section,
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do about it: a command, or a sentence where no command does it.
    pub fix: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(section: Section, name: &'static str, found: impl Into<String>) -> Self {
        Self::new(section, name, Outcome::Ok, found, None)
    }

    /// Nothing to look at.
    pub fn not_checked(section: Section, name: &'static str, found: impl Into<String>) -> Self {
        Self::new(section, name, Outcome::NotChecked, found, None)
    }

    /// It could be better.
    pub fn warning(
        section: Section,
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(section, name, Outcome::Warning, found, Some(fix.into()))
    }

    /// It will not work.
    pub fn failure(
        section: Section,
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(section, name, Outcome::Failure, found, Some(fix.into()))
    }

    fn new(
        section: Section,
        name: &'static str,
        outcome: Outcome,
        found: impl Into<String>,
        fix: Option<String>,
    ) -> Self {
        Self {
            section,
            name,
            outcome,
            found: found.into(),
            fix,
        }
    }
}

/// All lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// Version of this structure.
    pub schema: u32,
    /// Version of this program.
    pub masklet: &'static str,
    /// Whether a stand-in tree was read instead of this machine.
    pub stand_in: bool,
    /// Lines that are ok.
    pub ok: usize,
    /// Lines with a warning.
    pub warnings: usize,
    /// Lines with a failure.
    pub failures: usize,
    /// Lines that were not checked.
    pub not_checked: usize,
    /// The lines, by section.
    pub checks: Vec<Check>,
}

/// Width of the first two columns of the text.
const OUTCOME_WIDTH: usize = 15;
const NAME_WIDTH: usize = 20;

impl DoctorReport {
    /// Counts the lines.
    pub fn new(checks: Vec<Check>, stand_in: bool) -> Self {
        let count = |outcome| checks.iter().filter(|c| c.outcome == outcome).count();
        Self {
            schema: 1,
            masklet: env!("CARGO_PKG_VERSION"),
            stand_in,
            ok: count(Outcome::Ok),
            warnings: count(Outcome::Warning),
            failures: count(Outcome::Failure),
            not_checked: count(Outcome::NotChecked),
            checks,
        }
    }

    /// The report as text of at most `width` columns.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let paint = |text: &str, code: &str| match colour {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        };
        let mut out = String::new();
        if self.stand_in {
            out += "STAND-IN: a tree is read instead of this machine.\n\n";
        }
        let mut section = None;
        for check in &self.checks {
            if section != Some(check.section) {
                if section.is_some() {
                    out.push('\n');
                }
                out += &paint(check.section.title(), "1");
                out.push('\n');
                section = Some(check.section);
            }
            let word = check.outcome.word();
            let space = " ".repeat(OUTCOME_WIDTH.saturating_sub(word.len() + 2));
            // Writing to a String does not fail.
            let _ = write!(
                out,
                "  {}{space}{:<NAME_WIDTH$}",
                paint(word, check.outcome.colour()),
                check.name
            );
            let indent = OUTCOME_WIDTH + NAME_WIDTH;
            let room = width.saturating_sub(indent).max(30);
            out += &wrap(&check.found, room, indent);
            out.push('\n');
            if let Some(fix) = &check.fix {
                out += &" ".repeat(indent);
                // A command stays on one line, so that it can be copied.
                out += &match fix.contains(". ") || fix.len() > 2 * room {
                    true => wrap(&format!("-> {fix}"), room, indent + 3),
                    false => format!("-> {fix}"),
                };
                out.push('\n');
            }
        }
        let verdict = match (self.failures, self.warnings) {
            (0, 0) => "No problems found.",
            (0, _) => "No problems found; the warnings cost speed or certainty.",
            _ => "What is marked as failure will not work before it is fixed.",
        };
        let _ = writeln!(
            out,
            "\n{} ok, {}, {}, {} not checked.\n{verdict}",
            self.ok,
            counted(self.warnings, "warning"),
            counted(self.failures, "failure"),
            self.not_checked
        );
        out
    }
}

/// Text broken into lines; later ones are indented.
fn wrap(text: &str, room: usize, indent: usize) -> String {
    let lines = textwrap::wrap(text, textwrap::Options::new(room).break_words(false));
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

//! Which frame a mask belongs to.
//!
//! 1. By name, where every mask of the video has the name of a frame (zeros in front of numbers do
//!    not count).
//! 2. By number, where frames and masks are named differently (`frame_000004.jpg`, `00004.png`) and
//!    every number of a mask is that of a frame.
//! 3. By position, where names cannot decide: the frames have no numbers, or run from 0 or 1
//!    without a gap, and every mask's number is a position among them. SA-V's own masks are
//!    numbered so.
//!
//! Where 2 and 3 are both possible and lead to different frames, nothing is guessed: it is an
//! error that names both readings. So are frames of two naming schemes. Copies (`00003 (1).jpg`)
//! and pictures without a number among numbered ones are left out and counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::DatasetError;
use super::listing::{Listing, digits};

/// How the masks of a video find their frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A mask has its frame's name.
    #[default]
    Name,
    /// A mask has its frame's number.
    Number,
    /// A mask's number is a position among the frames, counted from 0.
    Position,
}

impl Rule {
    /// The rule in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Name => "by name",
            Self::Number => "by number",
            Self::Position => "by position",
        }
    }
}

/// A file's name without its extension, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stem {
    text: String,
    /// The name with `#` for every run of digits.
    template: String,
    /// The numbers of the runs, without zeros in front.
    numbers: Vec<String>,
    /// Digits of the last run.
    width: usize,
}

impl Stem {
    fn of(name: &str) -> Self {
        let text = stem(Path::new(name));
        let (mut template, mut numbers, mut width) = (String::new(), Vec::new(), 0);
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            if first.is_ascii_digit() {
                let (number, after) = digits(rest);
                width = rest.len() - after.len();
                numbers.push(if number.is_empty() { "0" } else { number }.to_owned());
                template.push('#');
                rest = after;
            } else {
                template.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        Self {
            text,
            template,
            numbers,
            width,
        }
    }

    /// The name without zeros in front of numbers.
    fn canonical(&self) -> String {
        let mut numbers = self.numbers.iter();
        let mut out = String::with_capacity(self.text.len());
        for c in self.template.chars() {
            match c {
                '#' => out.push_str(numbers.next().map_or("", String::as_str)),
                c => out.push(c),
            }
        }
        out
    }

    fn number(&self) -> Option<u64> {
        self.numbers.last()?.parse().ok()
    }

    /// The numbers before the last, which are a part of the name.
    fn fixed(&self) -> &[String] {
        self.numbers.split_last().map_or(&[], |(_, fixed)| fixed)
    }

    /// The name of another number.
    fn with_number(&self, number: u64) -> String {
        let Some(at) = self.text.rfind(|c: char| c.is_ascii_digit()) else {
            return format!("{number:05}");
        };
        let start = at + 1 - self.width;
        let (head, tail) = (&self.text[..start], &self.text[at + 1..]);
        format!("{head}{number:0width$}{tail}", width = self.width)
    }
}

/// The name of a file without its extension.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A name without zeros in front of its numbers, so that 00004 and 4 are one, and 007 is object 7.
pub(crate) fn canonical(name: &str) -> String {
    let whole = Stem::of(&format!("{name}."));
    whole.canonical()
}

/// Files of one naming scheme, and what was left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sifted {
    pub names: Vec<String>,
    pub ignored: Vec<String>,
}

/// Keeps the files of one naming scheme: copies and pictures without a number among numbered ones
/// are left out.
///
/// # Errors
/// [`DatasetError::Mixed`]: two schemes.
pub(crate) fn sift(dir: &Path, names: Vec<String>) -> Result<Sifted, DatasetError> {
    let stems: Vec<Stem> = names.iter().map(|name| Stem::of(name)).collect();
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    for stem in &stems {
        *families.entry(&stem.template).or_default() += 1;
    }
    if families.len() < 2 {
        return Ok(Sifted {
            names,
            ignored: Vec::new(),
        });
    }
    // Of two schemes of as many files the shorter one is the original's.
    let numbered = families
        .iter()
        .filter(|(template, _)| template.contains('#'));
    let main = numbered
        .max_by_key(|(template, count)| (**count, std::cmp::Reverse(template.len())))
        .map(|(template, _)| (*template).to_owned());
    let Some(main) = main else {
        // Names without numbers differ as they like.
        return Ok(Sifted {
            names,
            ignored: Vec::new(),
        });
    };
    let originals: Vec<&Stem> = stems.iter().filter(|s| s.template == main).collect();
    let texts: HashSet<&str> = originals.iter().map(|s| s.text.as_str()).collect();
    let mut sifted = Sifted::default();
    for (name, stem) in names.iter().zip(&stems) {
        if stem.template == main {
            sifted.names.push(name.clone());
        } else if !stem.template.contains('#') || is_derived(&stem.text, &texts) {
            sifted.ignored.push(name.clone());
        } else {
            let first = originals.first().map(|s| s.text.clone());
            return Err(DatasetError::Mixed {
                path: dir.to_owned(),
                first: first.unwrap_or_default(),
                second: name.clone(),
            });
        }
    }
    Ok(sifted)
}

/// Whether a name is that of an original with something before or behind it, as file managers and
/// synchronisers name copies: `00003 (1)`, `00003 - Copy`, `Copy of 00003`, `00003.sync-conflict-1`.
fn is_derived(text: &str, originals: &HashSet<&str>) -> bool {
    let boundaries = text.char_indices().map(|(at, _)| at).skip(1);
    boundaries.into_iter().any(|at| {
        let (head, tail) = text.split_at(at);
        let parted = |c: Option<char>| c.is_some_and(|c| !c.is_ascii_digit());
        (originals.contains(head) && parted(tail.chars().next()))
            || (originals.contains(tail) && parted(head.chars().next_back()))
    })
}

/// The frames of a video in their order, and what their names tell.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    pub paths: Vec<PathBuf>,
    pub ignored: Vec<String>,
    stems: Vec<Stem>,
    by_name: HashMap<String, usize>,
}

const FRAME_EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

impl Frames {
    /// Lists the frames in `dir`.
    pub fn of(dir: &Path, video: &str) -> Result<Self, DatasetError> {
        let listing = Listing::of(dir)?;
        let pictures = listing.with_extension(&FRAME_EXTENSIONS);
        if pictures.is_empty() {
            return Err(DatasetError::NoFrames {
                video: video.to_owned(),
                path: dir.to_owned(),
                found: described(&listing),
            });
        }
        let Sifted { names, mut ignored } = sift(dir, pictures)?;
        ignored.extend(listing.foreign);
        let stems: Vec<Stem> = names.iter().map(|name| Stem::of(name)).collect();
        let mut by_name = HashMap::with_capacity(names.len());
        for (index, stem) in stems.iter().enumerate() {
            if let Some(first) = by_name.insert(stem.canonical(), index) {
                return Err(DatasetError::FrameTwice {
                    video: video.to_owned(),
                    number: stem.canonical(),
                    first: dir.join(&names[first]),
                    second: dir.join(&names[index]),
                });
            }
        }
        Ok(Self {
            paths: names.iter().map(|name| dir.join(name)).collect(),
            ignored,
            stems,
            by_name,
        })
    }

    /// The numbers of the frames, where they are numbered in one run of digits.
    fn numbers(&self) -> Option<HashMap<u64, usize>> {
        let first = self.stems.first()?;
        if self.stems.iter().any(|s| s.fixed() != first.fixed()) {
            return None;
        }
        let numbers = self.stems.iter().enumerate();
        numbers.map(|(at, s)| Some((s.number()?, at))).collect()
    }

    /// Whether a number may be a position among the frames.
    fn positions_mean_something(&self) -> bool {
        if self.stems.iter().all(|stem| stem.numbers.is_empty()) {
            return true;
        }
        let Some(numbers) = self.numbers() else {
            return false;
        };
        let first = numbers.keys().min().copied().unwrap_or(0);
        let last = numbers.keys().max().copied().unwrap_or(0);
        first <= 1 && last - first + 1 == numbers.len() as u64
    }

    /// Finds the rule that leads every mask to a frame. `masks` are the names of all mask files of
    /// the video.
    ///
    /// # Errors
    /// No rule does, or two do and disagree.
    pub fn pair(&self, video: &str, masks: &[PathBuf]) -> Result<Pairing<'_>, DatasetError> {
        let stems: Vec<Stem> = masks
            .iter()
            .map(|path| Stem::of(&path.file_name().unwrap_or_default().to_string_lossy()))
            .collect();
        let numbers = self.numbers();
        let found = |rule| Pairing {
            frames: self,
            rule,
            numbers: numbers.clone(),
            example: stems.first().cloned(),
            video: video.to_owned(),
        };
        let named = |s: &Stem| self.by_name.contains_key(&s.canonical());
        if stems.iter().all(named) {
            return Ok(found(Rule::Name));
        }
        let one_scheme = stems
            .windows(2)
            .all(|pair| pair[0].template == pair[1].template && pair[0].fixed() == pair[1].fixed());
        let mask_numbers: Option<Vec<u64>> = stems.iter().map(Stem::number).collect();
        let mask_numbers = mask_numbers.filter(|_| one_scheme);
        let same_template =
            stems.first().map(|s| &s.template) == self.stems.first().map(|s| &s.template);
        let by_number: Option<Vec<usize>> = numbers
            .as_ref()
            .filter(|_| !same_template)
            .zip(mask_numbers.as_ref())
            .and_then(|(frames, masks)| masks.iter().map(|n| frames.get(n).copied()).collect());
        let count = self.paths.len();
        let by_position: Option<Vec<usize>> = mask_numbers
            .filter(|_| self.positions_mean_something())
            .and_then(|masks| {
                let positions = masks.iter().map(|&n| usize::try_from(n).ok());
                positions.map(|n| n.filter(|&n| n < count)).collect()
            });
        match (by_number, by_position) {
            (Some(a), Some(b)) if a != b => Err(self.ambiguous(video, masks, &a, &b)),
            (Some(_), _) => Ok(found(Rule::Number)),
            (None, Some(_)) => Ok(found(Rule::Position)),
            // Some mask has no frame; the others are found by their names, where they have some.
            (None, None) if same_template || stems.iter().any(named) => Ok(found(Rule::Name)),
            (None, None) => {
                let at = stems.iter().position(|s| !named(s)).unwrap_or(0);
                Err(self.none_for(video, &masks[at]))
            }
        }
    }

    fn ambiguous(
        &self,
        video: &str,
        masks: &[PathBuf],
        by_number: &[usize],
        by_position: &[usize],
    ) -> DatasetError {
        let name = |at: usize| {
            self.stems
                .get(at)
                .map_or("", |s| s.text.as_str())
                .to_owned()
        };
        let differ = by_number.iter().zip(by_position).position(|(a, b)| a != b);
        let at = differ.unwrap_or(0);
        DatasetError::Ambiguous {
            video: video.to_owned(),
            mask: masks.get(at).cloned().unwrap_or_default(),
            by_number: by_number.get(at).map(|&n| name(n)).unwrap_or_default(),
            by_position: by_position.get(at).map(|&n| name(n)).unwrap_or_default(),
        }
    }

    fn none_for(&self, video: &str, mask: &Path) -> DatasetError {
        let name = |stem: Option<&Stem>| stem.map_or("", |s| s.text.as_str()).to_owned();
        DatasetError::NoFrameFor {
            path: mask.to_owned(),
            video: video.to_owned(),
            detail: format!(
                "{} frames, {} to {}",
                self.paths.len(),
                name(self.stems.first()),
                name(self.stems.last())
            ),
        }
    }
}

/// A rule with the frames that it leads to.
#[derive(Debug)]
pub(super) struct Pairing<'f> {
    pub rule: Rule,
    frames: &'f Frames,
    numbers: Option<HashMap<u64, usize>>,
    example: Option<Stem>,
    video: String,
}

impl Pairing<'_> {
    /// The frame that a mask belongs to.
    pub fn frame_of(&self, mask: &Path) -> Result<usize, DatasetError> {
        let name = mask.file_name().unwrap_or_default().to_string_lossy();
        let stem = Stem::of(&name);
        let found = match self.rule {
            Rule::Name => self.frames.by_name.get(&stem.canonical()).copied(),
            Rule::Number => stem
                .number()
                .and_then(|n| self.numbers.as_ref()?.get(&n).copied()),
            Rule::Position => stem
                .number()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|&n| n < self.frames.paths.len()),
        };
        found.ok_or_else(|| self.frames.none_for(&self.video, mask))
    }

    /// The name, without extension, that the mask of every frame has or would have.
    pub fn mask_names(&self) -> Vec<String> {
        let example = self.example.as_ref();
        let numbered =
            |number: u64| example.map_or_else(|| format!("{number:05}"), |e| e.with_number(number));
        let name = |(at, stem): (usize, &Stem)| match self.rule {
            Rule::Name => stem.text.clone(),
            Rule::Number => stem.number().map_or_else(|| stem.text.clone(), numbered),
            Rule::Position => numbered(at as u64),
        };
        self.frames.stems.iter().enumerate().map(name).collect()
    }
}

/// What a folder without pictures holds.
pub(super) fn described(listing: &Listing) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for file in &listing.files {
        let extension = Path::new(file).extension().unwrap_or_default();
        *kinds
            .entry(extension.to_string_lossy().to_lowercase())
            .or_default() += 1;
    }
    let mut parts: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| match kind.as_str() {
            "" => format!("{count} files without extension"),
            kind => format!("{count} .{kind}"),
        })
        .collect();
    if !listing.folders.is_empty() {
        let names: Vec<&str> = listing.folders.iter().take(3).map(String::as_str).collect();
        let more = if listing.folders.len() > 3 {
            ", …"
        } else {
            ""
        };
        parts.push(format!(
            "{} folders ({}{more})",
            listing.folders.len(),
            names.join(", ")
        ));
    }
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
#[path = "pairing_tests.rs"]
mod tests;

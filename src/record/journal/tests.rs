//! Recovery at every byte, refusals, and a disk that takes no more.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::error::ErrorClass;
use crate::record::samples;

fn pinned() -> Options {
    [
        ("imgsz".to_owned(), 256.into()),
        ("prompt".to_owned(), "points".into()),
    ]
    .into()
}

/// A journal of `rows` rows and its text.
fn journal_of(rows: usize) -> (TempDir, PathBuf, Vec<u8>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("journal.jsonl");
    let mut journal = Journal::begin(&path, &pinned()).unwrap();
    for at in 0..rows {
        let mut row = samples::row("v", &format!("{at:03}"), "m_points");
        row.video_frames = 24 + at;
        journal.append(&[row]).unwrap();
    }
    drop(journal);
    let text = fs::read(&path).unwrap();
    (dir, path, text)
}

#[test]
fn rows_come_back_as_they_were() {
    let (_dir, path, _) = journal_of(3);
    let found = read_journal(&path).unwrap();
    assert_eq!(found.rows.len(), 3);
    assert_eq!(found.rows[1].key.object, "001");
    assert_eq!(found.rows[1].timing, samples::row("v", "1", "m").timing);
    assert_eq!((found.warning, found.resumed.len()), (None, 0));
}

#[test]
fn a_cut_at_every_byte_loses_the_cut_line_and_no_other() {
    let (_dir, path, text) = journal_of(3);
    let ends: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b'\n').collect();
    for cut in 0..=text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        // A line is whole when all of it is there, with its line feed or without.
        let lines = ends.iter().filter(|end| **end <= cut).count();
        let rows = lines.saturating_sub(1);
        let found = read_journal(&path).unwrap();
        assert_eq!(found.rows.len(), rows, "cut at {cut}");
        let whole = cut == 0 || ends.iter().any(|end| cut == *end || cut == *end + 1);
        assert_eq!(found.warning.is_none(), whole, "cut at {cut}");
    }
}

#[test]
fn a_cut_journal_goes_on_and_ends_like_a_whole_one() {
    let (_dir, path, text) = journal_of(3);
    // Every 97th byte and the neighbourhood of every line feed.
    let cuts = (0..=text.len()).filter(|at| {
        let near = text[at.saturating_sub(2)..(at + 2).min(text.len())].contains(&b'\n');
        near || at % 97 == 0
    });
    for cut in cuts {
        fs::write(&path, &text[..cut]).unwrap();
        let (mut journal, found) = Journal::resume(&path, &pinned()).unwrap();
        for at in 0..3 {
            let mut row = samples::row("v", &format!("{at:03}"), "m_points");
            row.video_frames = 24 + at;
            if journal.contains(&row.key) {
                continue;
            }
            journal.append(&[row]).unwrap();
        }
        drop(journal);
        let again = read_journal(&path).unwrap();
        assert_eq!(again.warning, None, "cut at {cut}");
        let mut names: Vec<_> = again.rows.iter().map(|r| r.key.object.clone()).collect();
        names.sort();
        assert_eq!(names, ["000", "001", "002"], "cut at {cut}");
        let session = u32::from(found.started.is_some());
        for row in again.rows.iter().skip(found.rows.len()) {
            assert_eq!(row.session, session, "cut at {cut}");
        }
    }
}

#[test]
fn a_damaged_inner_line_is_named_and_nothing_is_changed() {
    let (_dir, path, text) = journal_of(3);
    let mut lines: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    lines[2].truncate(40);
    let damaged = lines.join(&b'\n');
    fs::write(&path, &damaged).unwrap();
    let error = Journal::resume(&path, &pinned()).unwrap_err();
    assert!(error.to_string().contains("line 3 is damaged"), "{error}");
    assert_eq!(error.class(), ErrorClass::Data);
    assert_eq!(fs::read(&path).unwrap(), damaged);
}

#[test]
fn a_repeated_row_is_named_with_both_lines() {
    let (_dir, path, text) = journal_of(2);
    let last = text.split(|b| *b == b'\n').nth(2).unwrap();
    let mut doubled = text.clone();
    doubled.extend_from_slice(last);
    doubled.push(b'\n');
    fs::write(&path, doubled).unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 4 repeats video v, object 001"),
        "{error}"
    );
    assert!(error.contains("of line 3"), "{error}");
}

#[test]
fn figures_that_are_no_measurement_are_damage_too() {
    let (_dir, path, text) = journal_of(1);
    let text = String::from_utf8(text).unwrap();
    fs::write(&path, text.replace("\"j\":0.75", "\"j\":7.5")).unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("official J is 7.5"),
        "{error}"
    );
}

#[test]
fn other_options_are_refused_by_name() {
    let (_dir, path, _) = journal_of(1);
    let mut other = pinned();
    other.insert("imgsz".to_owned(), 512.into());
    other.insert("seed".to_owned(), 1.into());
    other.remove("prompt");
    let error = Journal::resume(&path, &other).unwrap_err();
    let text = error.to_string();
    for part in [
        "imgsz was 256, now 512",
        "prompt was \"points\", now unset",
        "seed was unset, now 1",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(error.class(), ErrorClass::Usage);
}

#[test]
fn another_schema_and_another_file_are_told_apart() {
    let (_dir, path, text) = journal_of(1);
    let text = String::from_utf8(text).unwrap();
    fs::write(&path, text.replace("\"schema\":2", "\"schema\":9")).unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(error.contains("schema 9, this program writes 2"), "{error}");
    fs::write(&path, "{\"begin\":{\"schema\":3,\"new\":true}}\n").unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(error.contains("schema 3"), "{error}");
    fs::write(&path, "video,object\n").unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(error.contains("not a journal"), "{error}");
    fs::write(&path, text.lines().nth(1).unwrap().to_owned() + "\n").unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(error.contains("not a journal"), "{error}");
    fs::write(&path, text.replace("\"imgsz\":256", "\"imgsz\":257")).unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 1") && error.contains("fingerprint"),
        "{error}"
    );
}

#[test]
fn a_changed_bit_and_a_row_of_another_run_are_refused() {
    let (_dir, path, text) = journal_of(2);
    let line = text.split_inclusive(|b| *b == b'\n').next().unwrap().len();
    let mut accepted = Vec::new();
    for bit in (0..8 * (text.len() - 1)).step_by(13) {
        let mut changed = text.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &changed).unwrap();
        // Only a last line that lost its line feed, or became two, may be taken for a cut one.
        if let Ok(found) = read_journal(&path)
            && found.warning.is_none()
        {
            accepted.push(bit);
        }
    }
    assert_eq!(accepted, Vec::<usize>::new());
    // A run that was started at another time has another seal.
    let begin = Begin {
        schema: JOURNAL_SCHEMA,
        started: "2026-01-01T00:00:00Z".to_owned(),
        fingerprint: fingerprint(&pinned()),
        pinned: pinned(),
    };
    let mut mixed = first_line(begin).unwrap().0;
    mixed.extend_from_slice(&text[line..]);
    fs::write(&path, &mixed).unwrap();
    let error = read_journal(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 2") && error.contains("another run"),
        "{error}"
    );
}

#[test]
fn a_withdrawn_row_is_gone_and_may_come_again() {
    let (_dir, path, _) = journal_of(2);
    let (mut journal, found) = Journal::resume(&path, &pinned()).unwrap();
    let key = found.rows[0].key.clone();
    journal
        .withdraw(vec![(key.clone(), "its masks are gone".to_owned())])
        .unwrap();
    assert!(!journal.contains(&key) && journal.rows() == 1);
    journal.append(&[found.rows[0].clone()]).unwrap();
    drop(journal);
    let again = read_journal(&path).unwrap();
    let objects: Vec<_> = again
        .rows
        .iter()
        .map(|row| row.key.object.as_str())
        .collect();
    assert_eq!(objects, ["001", "000"]);
}

#[test]
fn a_journal_without_checksums_is_read_and_continued() {
    let (_dir, path, _) = journal_of(0);
    let begin = Begin {
        schema: UNSEALED_SCHEMA,
        started: "2026-01-01T00:00:00Z".to_owned(),
        fingerprint: fingerprint(&pinned()),
        pinned: pinned(),
    };
    let row = samples::row("v", "000", "m_points");
    let mut text = encode(None, "", &Line::Begin(begin)).unwrap();
    text.extend(encode(None, "", &Line::Object(Box::new(row))).unwrap());
    fs::write(&path, text).unwrap();
    let (mut journal, found) = Journal::resume(&path, &pinned()).unwrap();
    assert_eq!(found.rows.len(), 1);
    journal
        .append(&[samples::row("v", "001", "m_points")])
        .unwrap();
    drop(journal);
    assert_eq!(read_journal(&path).unwrap().rows.len(), 2);
}

#[test]
fn a_journal_that_was_replaced_stops_the_run() {
    let (dir, path, text) = journal_of(1);
    for replace in [true, false] {
        let (mut journal, _) = Journal::resume(&path, &pinned()).unwrap();
        if replace {
            // As a synchronisation tool does.
            let copy = dir.path().join("copy");
            fs::write(&copy, &text).unwrap();
            fs::rename(&copy, &path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let row = samples::row("w", "000", "m_points");
        let error = journal.append(&[row]).unwrap_err();
        assert!(error.to_string().contains("removed or replaced"), "{error}");
        assert_eq!(error.class(), ErrorClass::Environment);
    }
}

#[test]
fn a_row_is_written_once() {
    let (_dir, path, text) = journal_of(1);
    let (mut journal, _) = Journal::resume(&path, &pinned()).unwrap();
    let row = samples::row("v", "000", "m_points");
    let error = journal.append(std::slice::from_ref(&row)).unwrap_err();
    assert!(error.to_string().contains("written once"), "{error}");
    let new = samples::row("w", "000", "m_points");
    let error = journal.append(&[new.clone(), new.clone()]).unwrap_err();
    assert!(error.to_string().contains("written once"), "{error}");
    journal.append(&[new]).unwrap();
    drop(journal);
    assert_eq!(read_journal(&path).unwrap().rows.len(), 2);
    assert!(fs::read(&path).unwrap().starts_with(&text));
}

#[test]
fn what_is_no_measurement_is_not_written() {
    let (_dir, path, text) = journal_of(1);
    let (mut journal, _) = Journal::resume(&path, &pinned()).unwrap();
    let fresh = || samples::row("w", "000", "m_points");
    let mut bad = Vec::new();
    for value in [f64::NAN, f64::INFINITY, -1.0] {
        let mut row = fresh();
        row.timing.as_mut().unwrap().setup_ms = value;
        bad.push(row);
        let mut row = fresh();
        let stages = &mut row.timing.as_mut().unwrap().stages;
        stages.get_mut(&crate::record::Stage::Encode).unwrap().ms[3] = value;
        bad.push(row);
        let mut row = fresh();
        row.scores.as_mut().unwrap().upstream.as_mut().unwrap().f = value;
        bad.push(row);
    }
    let mut row = fresh();
    row.frames = 3;
    bad.push(row);
    let mut row = fresh();
    row.timing = None;
    bad.push(row);
    let mut row = fresh();
    row.status = crate::record::Status::Failed {
        reason: "x".to_owned(),
    };
    bad.push(row);
    for row in bad {
        let error = journal.append(&[fresh().failed("fits"), row]).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Run, "{error}");
    }
    journal.append(&[fresh().failed("out of memory")]).unwrap();
    drop(journal);
    let found = read_journal(&path).unwrap();
    assert_eq!(found.rows.len(), 2, "only the failed row was added");
    assert!(!found.rows[1].is_ok() && found.rows[1].timing.is_none());
    assert!(fs::read(&path).unwrap().starts_with(&text));
}

#[test]
fn one_process_at_a_time() {
    let (_dir, path, _) = journal_of(1);
    let first = Journal::resume(&path, &pinned()).unwrap();
    let error = Journal::resume(&path, &pinned()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Passing, "{error}");
    drop(first);
    Journal::resume(&path, &pinned()).unwrap();
}

#[test]
fn a_device_without_space_is_a_passing_condition() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        println!("skipped: no /dev/full on this machine");
        return;
    }
    let error = Journal::begin(full, &pinned()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Passing);
    let text = error.to_string();
    for part in ["/dev/full", "free there", "--out-dir", "--resume"] {
        assert!(text.contains(part), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = recover(&text, Path::new("x"));
    }

    #[test]
    fn no_changed_byte_makes_it_panic_or_adds_rows(at in 0_usize..6000, byte in any::<u8>()) {
        static TEXT: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| journal_of(2).2);
        let mut text = TEXT.clone();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(found) = recover(&text, Path::new("x")) {
            prop_assert!(found.rows.len() <= 2);
        }
    }
}

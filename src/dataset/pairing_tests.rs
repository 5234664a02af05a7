//! Every numbering that frames and masks come in, and those that nobody can tell apart.

use super::*;

/// The frames that masks of these names belong to, and the rule; or the error's text.
fn paired(frames: &[String], masks: &[String]) -> Result<(Rule, Vec<usize>), String> {
    let dir = tempfile::tempdir().unwrap();
    for name in frames {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let frames = Frames::of(dir.path(), "v").map_err(|e| e.to_string())?;
    let masks: Vec<PathBuf> = masks.iter().map(PathBuf::from).collect();
    let pairing = frames.pair("v", &masks).map_err(|e| e.to_string())?;
    let found = masks.iter().map(|mask| pairing.frame_of(mask));
    let found: Result<Vec<usize>, _> = found.collect();
    Ok((pairing.rule, found.map_err(|e| e.to_string())?))
}

fn names(format: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let (head, rest) = format.split_once('{').unwrap();
    let (width, tail) = rest.split_once('}').unwrap();
    let width: usize = width.parse().unwrap();
    let numbers = numbers.into_iter();
    numbers
        .map(|n| format!("{head}{n:0width$}{tail}"))
        .collect()
}

#[test]
fn names_decide_where_they_can() {
    for (frames, masks, expected) in [
        // Both from 0, both from 1 (LVOS, ffmpeg), both with a step (YouTube-VOS).
        (
            names("{5}.jpg", 0..13),
            names("{5}.png", [0, 4, 12]),
            vec![0, 4, 12],
        ),
        (
            names("{5}.jpg", 1..14),
            names("{5}.png", [1, 5, 13]),
            vec![0, 4, 12],
        ),
        (
            names("{8}.jpg", (1..60).step_by(5)),
            names("{8}.png", [1, 6, 11]),
            vec![0, 1, 2],
        ),
        // VOST and VISOR.
        (
            names("frame{5}.jpg", 10..20),
            names("frame{5}.png", [10, 19]),
            vec![0, 9],
        ),
        (
            names("P01_107_frame_{10}.jpg", [140, 171, 202]),
            names("P01_107_frame_{10}.png", [140, 202]),
            vec![0, 2],
        ),
        // Unlike padding, unlike extensions.
        (
            names("{1}.jpeg", 0..12),
            names("{5}.PNG", [0, 4, 11]),
            vec![0, 4, 11],
        ),
        (names("{5}.png", 0..3), names("{5}.png", [2]), vec![2]),
    ] {
        assert_eq!(
            paired(&frames, &masks),
            Ok((Rule::Name, expected)),
            "{frames:?}"
        );
    }
}

#[test]
fn numbers_decide_where_names_differ() {
    let all = names("frame_{6}.jpg", 1..14);
    let expected = Ok((Rule::Number, vec![0, 6, 12]));
    assert_eq!(paired(&all, &names("{5}.png", [1, 7, 13])), expected);
    let from_zero = names("img-{4}.jpg", 0..9);
    assert_eq!(
        paired(&from_zero, &names("mask_{5}.png", [0, 4])),
        Ok((Rule::Number, vec![0, 4]))
    );
}

#[test]
fn positions_decide_where_names_cannot() {
    for frames in [
        names("{5}.jpg", 1..14),
        names("frame_{6}.jpg", 1..14),
        ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
            .map(str::to_owned)
            .to_vec(),
    ] {
        assert_eq!(
            paired(&frames, &names("{5}.png", [0, 4])),
            Ok((Rule::Position, vec![0, 4]))
        );
    }
}

#[test]
fn two_readings_are_refused_by_name() {
    let frames = names("frame_{6}.jpg", 1..14);
    let error = paired(&frames, &names("{5}.png", [4, 8])).unwrap_err();
    for words in ["00004.png", "frame_000004", "frame_000005", "rename"] {
        assert!(error.contains(words), "{error}");
    }
    // A cut out of a longer video: positions and names both lead nowhere.
    let error = paired(&names("{5}.jpg", 100..120), &names("{5}.png", [0, 4])).unwrap_err();
    assert!(error.contains("00000.png has no frame"), "{error}");
    let mut mixed = names("{5}.jpg", 0..5);
    mixed.extend(names("frame_{4}.jpg", 5..7));
    let error = paired(&mixed, &names("{5}.png", [0])).unwrap_err();
    assert!(
        error.contains("two ways") && error.contains("frame_0005.jpg"),
        "{error}"
    );
    let twice = ["00003.jpg", "3.jpg"].map(str::to_owned);
    let error = paired(&twice, &names("{5}.png", [3])).unwrap_err();
    assert!(error.contains("two frames numbered 3"), "{error}");
}

#[test]
fn copies_and_pictures_without_a_number_are_left_out() {
    for copy in [
        "00003 (1).jpg",
        "00003(1).jpg",
        "00003 - Copy.jpg",
        "00003 - Copy (2).jpg",
        "00003 copy.jpg",
        "00003 2.jpg",
        "00003_1.jpg",
        "Copy of 00003.jpg",
        "Kopie von 00003.jpg",
        "00003.sync-conflict-20240101-120000-ABC.jpg",
        "00003~.jpg",
        "cover.jpg",
        "preview.png",
    ] {
        let mut frames = names("{5}.jpg", 0..9);
        frames.push(copy.to_owned());
        assert_eq!(
            paired(&frames, &names("{5}.png", [0, 4, 8])),
            Ok((Rule::Name, vec![0, 4, 8])),
            "{copy}"
        );
    }
}

#[test]
fn masks_of_all_frames_are_named_as_those_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    for name in names("{5}.jpg", 1..4) {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let frames = Frames::of(dir.path(), "v").unwrap();
    let of = |mask: &str| {
        let masks = [PathBuf::from(mask)];
        frames.pair("v", &masks).unwrap().mask_names()
    };
    assert_eq!(of("000.png"), ["000", "001", "002"]);
    assert_eq!(of("00001.png"), ["00001", "00002", "00003"]);
    assert_eq!(of("mask_00_x.png"), ["mask_00_x", "mask_01_x", "mask_02_x"]);
}

#[test]
fn zeros_in_front_do_not_count() {
    for (name, expected) in [
        ("00004", "4"),
        ("000", "0"),
        ("f004", "f4"),
        ("a.007", "a.7"),
    ] {
        assert_eq!(canonical(name), expected);
    }
}

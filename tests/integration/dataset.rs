//! Opening datasets: layouts, selection, and one clear sentence for whatever is wrong.
use std::fs;
use std::path::{Path, PathBuf};

use masklet::dataset::{DatasetError, Layout, Split, SplitOptions};
use masklet::error::{Classified, ErrorClass};
use masklet::mask::Mask;
use masklet::media::image::write_mask_png;
use tempfile::TempDir;

fn write_jpeg(path: &Path, width: u16, height: u16) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = vec![120u8; usize::from(width) * usize::from(height) * 3];
    jpeg_encoder::Encoder::new_file(path, 80)
        .unwrap()
        .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
}

/// A mask of 32 x 24 with a box of the given side, empty for 0.
fn write_mask(path: &Path, side: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mask = Mask::from_fn(24, 32, |y, x| y < side && x < side);
    write_mask_png(path, &mask).unwrap();
}

fn write_labels(path: &Path, palette: bool, label_of: impl Fn(usize, usize) -> u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let data: Vec<u8> = (0..24 * 32).map(|i| label_of(i / 32, i % 32)).collect();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), 32, 24);
    encoder.set_depth(png::BitDepth::Eight);
    if palette {
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(
            (0..=255u8)
                .flat_map(|v| [v, 255 - v, 7])
                .collect::<Vec<_>>(),
        );
    } else {
        encoder.set_color(png::ColorType::Grayscale);
    }
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&data)
        .unwrap();
}

/// An SA-V folder with the videos named, nine frames each, object 0 annotated on 0, 4 and 8.
fn sav(videos: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for video in videos {
        for frame in 0..9 {
            write_jpeg(&frame_path(dir.path(), video, frame), 32, 24);
        }
        for frame in [0, 4, 8] {
            write_mask(&mask_path(dir.path(), video, "000", frame), 5);
        }
    }
    dir
}

fn frame_path(root: &Path, video: &str, frame: usize) -> PathBuf {
    root.join(format!("JPEGImages_24fps/{video}/{frame:05}.jpg"))
}

fn mask_path(root: &Path, video: &str, object: &str, frame: usize) -> PathBuf {
    root.join(format!("Annotations_6fps/{video}/{object}/{frame:05}.png"))
}

fn open(root: &Path) -> Result<Split, DatasetError> {
    Split::open(root, &SplitOptions::default())
}

fn ids(split: &Split) -> Vec<&str> {
    split.videos.iter().map(|v| v.id.as_str()).collect()
}

/// Opens, expects a data error, and returns its text.
#[track_caller]
fn refusal(root: &Path, options: &SplitOptions) -> String {
    let error = Split::open(root, options).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data, "{error}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

#[test]
fn a_sav_folder_opens_with_frames_objects_and_size() {
    let dir = sav(&["sav_000002", "sav_000001"]);
    write_mask(&mask_path(dir.path(), "sav_000001", "010", 4), 3);
    write_mask(&mask_path(dir.path(), "sav_000001", "2", 8), 3);
    let split = open(dir.path()).unwrap();
    assert_eq!(split.layout, Layout::SaV);
    assert_eq!(ids(&split), ["sav_000001", "sav_000002"]);
    let video = &split.videos[0];
    assert_eq!((video.width, video.height, video.frames.len()), (32, 24, 9));
    let objects: Vec<&str> = video.objects.iter().map(|o| o.id.as_str()).collect();
    assert_eq!(objects, ["000", "2", "010"]);
    assert_eq!(video.scored_frames(), [0, 4, 8]);
    let frames: Vec<usize> = video.objects[0]
        .annotations
        .iter()
        .map(|a| a.frame)
        .collect();
    assert_eq!(frames, [0, 4, 8]);
    assert_eq!(video.objects[0].annotations[1].file_name(), "00004.png");
    assert_eq!(video.objects[0].load(1).unwrap().area(), 25);
    assert_eq!(video.objects[0].position_of(8), Some(2));
    assert_eq!(video.objects[0].position_of(7), None);
}

#[test]
fn the_list_decides_which_videos_and_in_which_order() {
    let dir = sav(&["a", "b", "c"]);
    fs::write(dir.path().join("sav_val.txt"), "c\n\na\n").unwrap();
    fs::write(dir.path().join("mine.txt"), "b\r\n").unwrap();
    assert_eq!(ids(&open(dir.path()).unwrap()), ["c", "a"]);
    for name in ["mine", "mine.txt"] {
        let options = SplitOptions {
            split_name: Some(name.into()),
            ..Default::default()
        };
        let split = Split::open(dir.path(), &options).unwrap();
        assert_eq!(ids(&split), ["b"]);
        assert_eq!(split.list, Some(dir.path().join("mine.txt")));
    }
}

#[test]
fn limits_and_names_select() {
    let dir = sav(&["a", "b", "c"]);
    write_mask(&mask_path(dir.path(), "c", "001", 0), 2);
    let options = SplitOptions {
        videos: vec!["c".into(), "a".into()],
        limit_videos: 1,
        limit_objects: 1,
        ..Default::default()
    };
    let split = Split::open(dir.path(), &options).unwrap();
    assert_eq!(ids(&split), ["c"]);
    assert_eq!(split.videos[0].objects.len(), 1);
    assert_eq!(split.available, 3);
}

#[test]
fn shuffling_depends_on_the_seed_alone() {
    let dir = sav(&["a", "b", "c", "d", "e", "f", "g"]);
    let order = |seed| {
        let options = SplitOptions {
            shuffle: true,
            seed,
            ..Default::default()
        };
        let split = Split::open(dir.path(), &options).unwrap();
        ids(&split).concat()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    assert_ne!(order(1), "abcdefg");
    let mut sorted: Vec<char> = order(3).chars().collect();
    sorted.sort_unstable();
    assert_eq!(sorted.iter().collect::<String>(), "abcdefg");
}

#[test]
fn the_prompt_frame_is_the_first_that_shows_the_object() {
    let dir = sav(&["v"]);
    write_mask(&mask_path(dir.path(), "v", "001", 0), 0);
    write_mask(&mask_path(dir.path(), "v", "001", 4), 6);
    write_mask(&mask_path(dir.path(), "v", "002", 0), 0);
    write_mask(&mask_path(dir.path(), "v", "002", 4), 0);
    let split = open(dir.path()).unwrap();
    let objects = &split.videos[0].objects;
    let prompt = objects[1].prompt_frame().unwrap();
    assert_eq!((prompt.annotation, prompt.frame), (1, 4));
    assert_eq!(prompt.mask.area(), 36);
    let error = objects[2].prompt_frame().unwrap_err();
    assert!(matches!(error, DatasetError::NeverVisible { .. }));
    assert_contains(
        &error.to_string(),
        &[
            "object '002' of video 'v'",
            "none of its 2 annotations shows it",
        ],
    );
    assert_eq!(objects[2].load(99).unwrap(), Mask::empty(24, 32));
}

#[test]
fn thinned_out_frames_are_found_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for frame in [0, 4, 8, 12] {
        write_jpeg(&frame_path(dir.path(), "v", frame), 32, 24);
        write_mask(&mask_path(dir.path(), "v", "000", frame), 4);
    }
    let split = open(dir.path()).unwrap();
    let frames: Vec<usize> = split.videos[0].objects[0]
        .annotations
        .iter()
        .map(|a| a.frame)
        .collect();
    assert_eq!(frames, [0, 1, 2, 3]);
    write_mask(&mask_path(dir.path(), "v", "000", 2), 4);
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(
        &text,
        &["00002.png has no frame", "4 frames, named 00000 to 00012"],
    );
}

#[test]
fn frames_numbered_from_one_and_frames_without_numbers_go_by_position() {
    for name in ["{:05}.jpg", "frame_{:06}.jpg"] {
        let dir = tempfile::tempdir().unwrap();
        for frame in 0..9 {
            let padded = if name.starts_with('f') {
                format!("frame_{:06}.jpg", frame + 1)
            } else {
                format!("{:05}.jpg", frame + 1)
            };
            write_jpeg(&dir.path().join("JPEGImages_24fps/v").join(padded), 32, 24);
        }
        write_mask(&mask_path(dir.path(), "v", "000", 0), 4);
        write_mask(&mask_path(dir.path(), "v", "000", 8), 4);
        let split = open(dir.path()).unwrap();
        assert_eq!(split.videos[0].scored_frames(), [0, 8]);
    }
}

#[test]
fn a_davis_folder_opens_by_labels() {
    for (frames, annotations) in [
        ("JPEGImages/480p", "Annotations/480p"),
        ("JPEGImages", "Annotations"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for frame in 0..4 {
            let path =
                |kind: &str, end: &str| dir.path().join(format!("{kind}/dog/{frame:05}.{end}"));
            write_jpeg(&path(frames, "jpg"), 32, 24);
            // Object 1 always, object 12 from frame 2 on.
            write_labels(&path(annotations, "png"), true, |y, x| match (y, x) {
                (0..4, 0..4) => 1,
                (10..12, 10..15) if frame >= 2 => 12,
                _ => 0,
            });
        }
        let split = open(dir.path()).unwrap();
        assert_eq!(split.layout, Layout::Davis);
        let video = &split.videos[0];
        assert_eq!(video.id, "dog");
        assert_eq!(video.objects.len(), 2);
        assert_eq!(video.objects[1].id, "12");
        assert_eq!(video.objects[1].annotations.len(), 4);
        assert_eq!(video.objects[0].load(3).unwrap().area(), 16);
        let late = video.objects[1].prompt_frame().unwrap();
        assert_eq!((late.frame, late.mask.area()), (2, 10));
    }
}

#[test]
fn davis_lists_and_binary_masks_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for video in ["bear", "dog"] {
        write_jpeg(
            &dir.path()
                .join(format!("JPEGImages/480p/{video}/00000.jpg")),
            32,
            24,
        );
        write_labels(
            &dir.path()
                .join(format!("Annotations/480p/{video}/00000.png")),
            false,
            |y, _| if y < 3 { 255 } else { 0 },
        );
    }
    fs::create_dir_all(dir.path().join("ImageSets/2017")).unwrap();
    fs::write(dir.path().join("ImageSets/2017/val.txt"), "dog\n").unwrap();
    let mut options = SplitOptions {
        split_name: Some("val".into()),
        ..Default::default()
    };
    let split = Split::open(dir.path(), &options).unwrap();
    assert_eq!(ids(&split), ["dog"]);
    assert_eq!(split.videos[0].objects[0].id, "255");
    assert_eq!(split.videos[0].objects[0].load(0).unwrap().area(), 96);
    options.split_name = Some("test".into());
    assert_contains(
        &refusal(dir.path(), &options),
        &[
            "no list of videos at",
            "2017/test.txt",
            "leave out the split name",
        ],
    );
}

#[test]
fn a_missing_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let options = SplitOptions::default();
    let text = refusal(&dir.path().join("nowhere"), &options);
    assert_contains(
        &text,
        &["there is no dataset folder at", "nowhere", "check the path"],
    );
    let text = refusal(dir.path(), &options);
    assert_contains(
        &text,
        &["neither JPEGImages_24fps (SA-V layout) nor JPEGImages"],
    );
    fs::create_dir(dir.path().join("JPEGImages_24fps")).unwrap();
    let text = refusal(dir.path(), &options);
    assert_contains(
        &text,
        &[
            "no annotation folder of the SA-V layout",
            "Annotations_6fps",
        ],
    );
    let davis = tempfile::tempdir().unwrap();
    fs::create_dir(davis.path().join("JPEGImages")).unwrap();
    let text = refusal(davis.path(), &options);
    assert_contains(&text, &["no annotation folder of the DAVIS layout"]);
}

#[test]
fn an_empty_split_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("JPEGImages_24fps")).unwrap();
    fs::create_dir(dir.path().join("Annotations_6fps")).unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(
        &text,
        &["the split is empty", "JPEGImages_24fps holds no videos"],
    );
    fs::write(dir.path().join("sav_val.txt"), "\n \n").unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(
        &text,
        &["the split is empty", "sav_val.txt holds no videos"],
    );
}

#[test]
fn lists_that_do_not_fit_are_explained() {
    let dir = sav(&["a"]);
    let list = dir.path().join("sav_val.txt");
    for (lines, parts) in [
        (
            "a\nb\n",
            &[
                "names video 'b' but there is no folder",
                "JPEGImages_24fps/b",
            ][..],
        ),
        ("a\na\n", &["names video 'a' twice"]),
        (
            "../a\n",
            &["names video '../a', which is no plain folder name"],
        ),
    ] {
        fs::write(&list, lines).unwrap();
        let text = refusal(dir.path(), &SplitOptions::default());
        assert_contains(&text, &["sav_val.txt"]);
        assert_contains(&text, parts);
    }
    fs::write(&list, "a\n").unwrap();
    let options = SplitOptions {
        videos: vec!["z".into()],
        ..Default::default()
    };
    let text = refusal(dir.path(), &options);
    assert_contains(&text, &["video 'z' is not among the 1 videos of"]);
    let options = SplitOptions {
        split_name: Some("sav_test".into()),
        ..Default::default()
    };
    let text = refusal(dir.path(), &options);
    assert_contains(&text, &["no list of videos at", "sav_test.txt"]);
}

#[test]
fn videos_without_frames_or_objects_are_named() {
    let dir = sav(&["a"]);
    fs::create_dir(dir.path().join("JPEGImages_24fps/b")).unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(
        &text,
        &[
            "names video 'b' but there is no folder",
            "Annotations_6fps/b",
        ],
    );
    fs::create_dir(dir.path().join("Annotations_6fps/b")).unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(&text, &["video 'b' has no frames", "extract them"]);
    write_jpeg(&frame_path(dir.path(), "b", 0), 32, 24);
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(&text, &["video 'b' has no annotated objects"]);
}

#[test]
fn annotations_that_fit_no_frame_are_named() {
    let dir = sav(&["a"]);
    let extra = mask_path(dir.path(), "a", "000", 12);
    write_mask(&extra, 3);
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(
        &text,
        &["00012.png has no frame: video 'a' has frames 0 to 8"],
    );
    fs::rename(&extra, extra.with_file_name("last.png")).unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(
        &text,
        &[
            "last.png is not named by a frame number",
            "such as 00004.png",
        ],
    );
    fs::rename(
        extra.with_file_name("last.png"),
        extra.with_file_name("4.png"),
    )
    .unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(&text, &["annotate the same frame of one object", "4.png"]);
}

#[test]
fn two_frames_of_one_number_are_named() {
    let dir = sav(&["a"]);
    write_jpeg(&dir.path().join("JPEGImages_24fps/a/3.jpg"), 32, 24);
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(&text, &["two frames numbered 3", "00003.jpg", "3.jpg"]);
}

#[test]
fn bad_masks_and_frames_are_data_errors_with_their_names() {
    let dir = sav(&["a"]);
    let path = mask_path(dir.path(), "a", "000", 4);
    let load = || {
        let split = open(dir.path()).unwrap();
        let error = split.videos[0].objects[0].load(1).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data);
        error.to_string()
    };
    write_mask_png(&path, &Mask::empty(30, 40)).unwrap();
    assert_contains(&load(), &["00004.png is 40x30 but 32x24 is expected"]);
    write_labels(&path, false, |y, x| (y + x) as u8 % 3);
    assert_contains(&load(), &["00004.png holds 3 different values (0, 1, 2)"]);
    let bytes = fs::read(mask_path(dir.path(), "a", "000", 8)).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_contains(&load(), &["00004.png"]);

    let first = frame_path(dir.path(), "a", 0);
    fs::write(&first, b"").unwrap();
    assert_contains(
        &refusal(dir.path(), &SplitOptions::default()),
        &["00000.jpg is truncated: the file is empty"],
    );
}

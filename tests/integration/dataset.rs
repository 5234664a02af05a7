//! Opening datasets: layouts, selection, and one clear sentence for whatever is wrong.
use std::fs;
use std::path::{Path, PathBuf};

use masklet::dataset::{DatasetError, Layout, Rule, Split, SplitOptions};
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

/// Why an object of a split cannot be tracked.
#[track_caller]
fn failure(root: &Path, video: usize, object: usize) -> String {
    let split = open(root).unwrap();
    let error = split.videos[video].objects[object]
        .prompt_frame()
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data, "{error}");
    error.to_string()
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
    assert_contains(
        &failure(dir.path(), 0, 0),
        &["00002.png has no frame", "4 frames, 00000 to 00012"],
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
            "ImageSets/test.txt",
            "there are val.txt",
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
        ("a\na\n", &["names video 'a' twice"][..]),
        (
            "../a\n",
            &["names video '../a', which is not a plain folder name"],
        ),
    ] {
        fs::write(&list, lines).unwrap();
        let text = refusal(dir.path(), &SplitOptions::default());
        assert_contains(&text, &["sav_val.txt"]);
        assert_contains(&text, parts);
    }
    fs::write(&list, "b\na\n").unwrap();
    assert_contains(
        &failure(dir.path(), 0, 0),
        &[
            "names video 'b' but there is no folder",
            "JPEGImages_24fps/b",
        ],
    );
    assert!(
        open(dir.path()).unwrap().videos[1].objects[0]
            .prompt_frame()
            .is_ok()
    );
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
fn videos_without_frames_or_objects_fail_and_the_others_run() {
    let dir = sav(&["a"]);
    fs::create_dir(dir.path().join("JPEGImages_24fps/b")).unwrap();
    let split = open(dir.path()).unwrap();
    assert_eq!(ids(&split), ["a"]);
    assert_contains(&split.notes.join("\n"), &["without a folder of masks: b"]);
    fs::create_dir(dir.path().join("Annotations_6fps/b")).unwrap();
    assert_contains(
        &failure(dir.path(), 1, 0),
        &["video 'b' has no frames", "but nothing"],
    );
    let split = open(dir.path()).unwrap();
    assert_eq!((split.videos[1].width, split.videos[1].height), (32, 24));
    assert!(split.videos[0].objects[0].prompt_frame().is_ok());
    write_jpeg(&frame_path(dir.path(), "b", 0), 32, 24);
    assert_contains(
        &failure(dir.path(), 1, 0),
        &["Annotations_6fps/b holds no masks"],
    );
    fs::write(dir.path().join("Annotations_6fps/b/objects.json"), "{}").unwrap();
    assert_contains(
        &failure(dir.path(), 1, 0),
        &["holds no masks", "but 1 .json"],
    );
}

#[test]
fn annotations_that_fit_no_frame_fail_their_object() {
    let dir = sav(&["a"]);
    write_mask(&mask_path(dir.path(), "a", "001", 4), 3);
    let extra = mask_path(dir.path(), "a", "000", 12);
    write_mask(&extra, 3);
    assert_contains(
        &failure(dir.path(), 0, 0),
        &["00012.png has no frame: video 'a' has 9 frames, 00000 to 00008"],
    );
    let split = open(dir.path()).unwrap();
    assert!(split.videos[0].objects[1].prompt_frame().is_ok());
    // A picture of another kind is none of the masks; a second mask of a frame is one too many.
    fs::rename(&extra, extra.with_file_name("last.png")).unwrap();
    let split = open(dir.path()).unwrap();
    assert_eq!(split.videos[0].ignored, ["last.png"]);
    assert!(split.videos[0].objects[0].prompt_frame().is_ok());
    fs::rename(
        extra.with_file_name("last.png"),
        extra.with_file_name("4.png"),
    )
    .unwrap();
    assert_contains(
        &failure(dir.path(), 0, 0),
        &["annotate the same frame of one object", "4.png"],
    );
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
        &[
            "none of the 1 selected videos",
            "00000.jpg is truncated: the file is empty",
        ],
    );
}

/// What systems and tools leave in folders, wherever they leave it.
#[test]
fn foreign_files_and_folders_change_nothing() {
    let expected = open(sav(&["v"]).path()).unwrap();
    for junk in [
        "JPEGImages_24fps/@eaDir/v/SYNO.jpg",
        "Annotations_6fps/@eaDir/v/SYNO.png",
        "JPEGImages_24fps/v/@eaDir/00000.jpg/SYNOPHOTO_THUMB_M.jpg",
        "Annotations_6fps/v/@eaDir/000/SYNO@.png",
        "Annotations_6fps/v/000/@eaDir/00000.png/SYNOPHOTO_THUMB_M.png",
        "JPEGImages_24fps/__MACOSX/v/._00000.jpg",
        "Annotations_6fps/__MACOSX/v/._00000.png",
        "JPEGImages_24fps/v/._00000.jpg",
        "JPEGImages_24fps/v/Thumbs.db",
        "JPEGImages_24fps/.ipynb_checkpoints/x.jpg",
        "JPEGImages_24fps/lost+found/x",
        "JPEGImages_24fps/$RECYCLE.BIN/x",
        "JPEGImages_24fps/v/00003 (1).jpg",
        "JPEGImages_24fps/v/00003 - Copy.jpg",
        "JPEGImages_24fps/v/cover.jpg",
        "Annotations_6fps/v/000/00004 (1).png",
        "Annotations_6fps/v/000/preview.png",
        "JPEGImages_24fps/list.txt",
    ] {
        let dir = sav(&["v"]);
        let path = dir.path().join(junk);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        let split = open(dir.path()).unwrap();
        assert_eq!(ids(&split), ["v"], "{junk}");
        let (found, wanted) = (&split.videos[0], &expected.videos[0]);
        assert_eq!(found.frames.len(), wanted.frames.len(), "{junk}");
        assert_eq!(found.scored_frames(), wanted.scored_frames(), "{junk}");
        assert_eq!(found.objects.len(), 1, "{junk}");
        assert_eq!(found.objects[0].unusable, None, "{junk}");
    }
}

/// LVOS and ffmpeg number from 1, frames and masks alike: masks 1, 5, 9 are frames 0, 4, 8.
#[test]
fn numbering_from_one_on_both_sides_is_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for frame in 1..14 {
        write_jpeg(&frame_path(dir.path(), "v", frame), 32, 24);
    }
    for frame in [1, 5, 9] {
        write_mask(&mask_path(dir.path(), "v", "000", frame), 4);
    }
    let split = open(dir.path()).unwrap();
    assert_eq!(split.videos[0].rule, Some(Rule::Name));
    assert_eq!(split.videos[0].scored_frames(), [0, 4, 8]);
    assert_contains(&split.describe()[0], &["paired with frames by name"]);
}

/// A copy of a data set with label maps: which frames are annotated, what is void, what is hidden.
#[test]
fn label_maps_tell_void_and_hidden_truth() {
    let dir = tempfile::tempdir().unwrap();
    let path =
        |kind: &str, frame: usize, end: &str| dir.path().join(format!("{kind}/v/{frame:05}.{end}"));
    for frame in (0..45).step_by(5) {
        write_jpeg(&path("JPEGImages", frame, "jpg"), 32, 24);
    }
    let write = |frame: usize, label: u8, edge: u8| {
        let file = path("Annotations", frame, "png");
        write_labels(&file, true, |y, x| match (y, x) {
            (2..9, 2..9) => label,
            (1..10, 1..10) => edge,
            _ => 0,
        });
    };
    // YouTube-VOS valid: each object on its first frame only.
    write(0, 1, 0);
    write(20, 2, 0);
    let split = open(dir.path()).unwrap();
    assert!(split.truth_is_hidden());
    let video = &split.videos[0];
    let frames: Vec<_> = video.objects.iter().map(|o| o.annotations.len()).collect();
    assert_eq!(frames, [1, 1]);
    assert_eq!(video.objects[1].prompt_frame().unwrap().frame, 4);
    assert_contains(
        &split.describe()[0],
        &["truth is hidden", "2 of 9 frames annotated"],
    );
    // VOST: 255 beside the object.
    for frame in [0, 20, 40] {
        write(frame, 1, 255);
    }
    let split = open(dir.path()).unwrap();
    assert!(!split.truth_is_hidden());
    assert!(split.videos[0].void);
    let objects: Vec<&str> = split.videos[0]
        .objects
        .iter()
        .map(|o| o.id.as_str())
        .collect();
    assert_eq!(objects, ["1"]);
    assert_contains(&split.describe()[0], &["label 255 is void"]);
}

/// The trees of `layouts.md`'s table, each with its own lists.
#[test]
fn releases_are_read_as_they_are_published() {
    for (frames, masks, list, line, name) in [
        (
            "JPEGImages/480p",
            "Annotations/480p",
            "ImageSets/2017/val.txt",
            "bear",
            "{:05}",
        ),
        (
            "JPEGImages/Full-Resolution",
            "Annotations/Full-Resolution",
            "ImageSets/2017/val.txt",
            "bear",
            "{:05}",
        ),
        (
            "JPEGImages/480p",
            "Annotations_unsupervised/480p",
            "ImageSets/2019/val.txt",
            "bear",
            "{:05}",
        ),
        (
            "JPEGImages/480p",
            "Annotations/480p",
            "ImageSets/480p/val.txt",
            "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n\
             /JPEGImages/480p/bear/00001.jpg /Annotations/480p/bear/00001.png",
            "{:05}",
        ),
        (
            "JPEGImages/1080p",
            "Annotations/1080p",
            "ImageSets/1080p/val.txt",
            "/JPEGImages/1080p/bear/00000.jpg /Annotations/1080p/bear/00000.png",
            "{:05}",
        ),
        (
            "JPEGImages",
            "Annotations",
            "ImageSets/val.txt",
            "bear",
            "frame{:05}",
        ),
        (
            "JPEGImages/480p",
            "Annotations/480p",
            "ImageSets/2022/val.txt",
            "bear",
            "P01_107_frame_{:010}",
        ),
        ("JPEGImages", "Annotations", "val.txt", "bear", "{:08}"),
        ("images", "masks", "val.txt", "bear", "{:05}"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = |frame: usize| {
            let (head, rest) = name.split_once("{:0").unwrap();
            let width: usize = rest.trim_end_matches('}').parse().unwrap();
            format!("{head}{frame:0width$}")
        };
        for video in ["bear", "dog"] {
            for frame in 0..4 {
                let frame_file = format!("{frames}/{video}/{}.jpg", file(frame));
                write_jpeg(&dir.path().join(frame_file), 32, 24);
                let mask_file = format!("{masks}/{video}/{}.png", file(frame));
                write_labels(&dir.path().join(mask_file), true, |y, _| u8::from(y < 3));
            }
        }
        let list = dir.path().join(list);
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        fs::write(&list, line).unwrap();
        let options = SplitOptions {
            split_name: Some("val".into()),
            ..Default::default()
        };
        let split = Split::open(dir.path(), &options).unwrap();
        assert_eq!(ids(&split), ["bear"], "{frames} {name}");
        assert_eq!(
            split.videos[0].scored_frames(),
            [0, 1, 2, 3],
            "{frames} {name}"
        );
        assert_eq!(split.videos[0].rule, Some(Rule::Name));
        assert_eq!(split.videos[0].mask_names[2], file(2));
    }
}

#[test]
fn a_folder_that_is_no_dataset_is_described() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("clip.mp4"), "").unwrap();
    fs::write(dir.path().join("clip.json"), "").unwrap();
    let text = refusal(dir.path(), &SplitOptions::default());
    assert_contains(&text, &["1 .json, 1 .mp4"]);
    let inner = dir.path().join("valid/JPEGImages/v");
    fs::create_dir_all(&inner).unwrap();
    fs::create_dir_all(dir.path().join("valid/Annotations/v")).unwrap();
    for place in [dir.path(), &inner, inner.parent().unwrap()] {
        let text = refusal(place, &SplitOptions::default());
        let meant = format!("did you mean {}?", dir.path().join("valid").display());
        assert_contains(&text, &[&meant]);
    }
}

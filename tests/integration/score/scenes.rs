//! Scenes of `tests/golden/score` as masks and as folders of PNG files. What the words of a scene
//! mean is said in `tests/golden/score/README.md`; `make_golden.py` reads them alike.

use masklet::mask::Mask;
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

#[derive(Deserialize)]
pub struct Golden {
    pub scenes: Vec<Scene>,
    pub official: Expected,
    pub official_all_frames: Expected,
    pub upstream: Expected,
    pub results_csv: String,
}

#[derive(Deserialize)]
pub struct Expected {
    #[serde(rename = "J")]
    pub j: f64,
    #[serde(rename = "F")]
    pub f: f64,
    #[serde(rename = "JF")]
    pub jf: f64,
    pub objects: Vec<ExpectedObject>,
}

#[derive(Deserialize)]
pub struct ExpectedObject {
    pub video: String,
    pub object: String,
    #[serde(rename = "J")]
    pub j: f64,
    #[serde(rename = "F")]
    pub f: f64,
    pub frames: Option<usize>,
}

#[derive(Deserialize)]
pub struct Scene {
    pub video: String,
    pub layout: String,
    pub height: usize,
    pub width: usize,
    pub frames: usize,
    pub objects: Vec<SceneObject>,
}

#[derive(Deserialize)]
pub struct SceneObject {
    pub object: String,
    #[serde(default)]
    pub shapes: Vec<[i64; 8]>,
    pub masklet: Option<usize>,
    pub ops: Vec<Vec<Value>>,
}

/// The `masklet` list of an SA-V annotation file: per frame and object a compressed COCO mask.
#[derive(Deserialize)]
pub struct SavAnnotations {
    masklet: Vec<Vec<CocoMask>>,
}

#[derive(Deserialize)]
struct CocoMask {
    size: [usize; 2],
    counts: String,
}

/// Writes ground truth and predictions of all scenes to `root/gt` and `root/pred`.
pub fn write_folders(scenes: &[Scene], sav: Option<&SavAnnotations>, root: &Path) {
    for scene in scenes {
        let sides = scene.masks(sav);
        for (side, folder) in ["gt", "pred"].into_iter().enumerate() {
            let video = root.join(folder).join(&scene.video);
            for t in 0..scene.frames {
                let name = format!("{:05}.png", 4 * t);
                if scene.layout == "sav" {
                    for (object, masks) in &sides {
                        write_mask(&video.join(object).join(&name), &masks[side][t]);
                    }
                    continue;
                }
                let mut labels = vec![0; scene.height * scene.width];
                for (object, masks) in &sides {
                    let id = object.parse().unwrap();
                    let pixels = labels.iter_mut().zip(masks[side][t].as_slice());
                    pixels.filter(|(_, set)| **set).for_each(|(l, _)| *l = id);
                }
                write_labels(&video.join(&name), scene.height, scene.width, &labels);
            }
        }
    }
}

impl Scene {
    /// Every object's name, its ground truth and its prediction by frame, not yet painted over
    /// each other.
    pub fn masks(&self, sav: Option<&SavAnnotations>) -> Vec<(&str, [Vec<Mask>; 2])> {
        let objects = self.objects.iter();
        objects
            .map(|object| {
                let gt = ground_truth(self, object, sav);
                let pred = disturbed(&gt, &object.ops);
                (object.object.as_str(), [gt, pred])
            })
            .collect()
    }
}

fn ground_truth(scene: &Scene, object: &SceneObject, sav: Option<&SavAnnotations>) -> Vec<Mask> {
    if let Some(number) = object.masklet {
        let frames = &sav.unwrap().masklet;
        return frames.iter().map(|f| decode_coco(&f[number])).collect();
    }
    let inside = |t: i64, y: i64, x: i64| {
        object
            .shapes
            .iter()
            .any(|&[cy, cx, ry, rx, vy, vx, from, until]| {
                let (dy, dx) = (y - cy - vy * t, x - cx - vx * t);
                (from..until).contains(&t)
                    && dy * dy * rx * rx + dx * dx * ry * ry <= (ry * rx) * (ry * rx)
            })
    };
    (0..scene.frames as i64)
        .map(|t| {
            Mask::from_fn(scene.height, scene.width, |y, x| {
                inside(t, y as i64, x as i64)
            })
        })
        .collect()
}

fn disturbed(gt: &[Mask], ops: &[Vec<Value>]) -> Vec<Mask> {
    let mut masks = gt.to_vec();
    for op in ops {
        let name = op[0].as_str().unwrap();
        let args: Vec<i64> = op[1..].iter().map(|v| v.as_i64().unwrap()).collect();
        if name == "lag" {
            let lag = args[0] as usize;
            masks = (0..masks.len())
                .map(|t| masks[t.saturating_sub(lag)].clone())
                .collect();
            continue;
        }
        for (t, mask) in masks.iter_mut().enumerate() {
            *mask = disturb(mask, t as i64, name, &args);
        }
    }
    masks
}

fn disturb(mask: &Mask, t: i64, name: &str, args: &[i64]) -> Mask {
    let (h, w) = (mask.height(), mask.width());
    let mut out = mask.clone();
    match name {
        "shift" => {
            out = Mask::empty(h, w);
            let overlap = |by: i64, size: usize| {
                by.max(0) as usize..(size as i64 + by.min(0)).max(by.max(0)) as usize
            };
            let (rows, columns) = (overlap(args[0], h), overlap(args[1], w));
            let left = (columns.start as i64 - args[1]) as usize;
            for y in rows {
                let from = &mask.row((y as i64 - args[0]) as usize)[left..left + columns.len()];
                let start = y * w + columns.start;
                out.as_mut_slice()[start..start + columns.len()].copy_from_slice(from);
            }
        }
        "dilate" => (0..args[0]).for_each(|_| out = near(&out, true)),
        "erode" => (0..args[0]).for_each(|_| out = near(&out, false)),
        "noise" => {
            for y in 0..h {
                let of_row = 7919 * y as i64 + 1299709 * t;
                let row = &mut out.as_mut_slice()[y * w..(y + 1) * w];
                for (x, pixel) in row.iter_mut().enumerate() {
                    *pixel ^= (of_row + 104729 * x as i64) % args[0] == 0;
                }
            }
        }
        "box" if (args[4]..args[5]).contains(&t) => {
            for y in args[0]..args[2].min(h as i64) {
                for x in args[1]..args[3].min(w as i64) {
                    out.set(y as usize, x as usize, true);
                }
            }
        }
        "drop" if t % args[0] == args[1] => out = Mask::empty(h, w),
        "fill" if t % args[0] == args[1] => out.as_mut_slice().fill(true),
        "box" | "drop" | "fill" => {}
        other => panic!("unknown op {other}"),
    }
    out
}

/// One step of dilation (`grow`) or erosion by a 3x3 square, the image's outside left out.
fn near(mask: &Mask, grow: bool) -> Mask {
    let (h, w) = (mask.height(), mask.width());
    let merge = |a: bool, b: bool| if grow { a | b } else { a & b };
    let mut across = mask.clone();
    for y in 0..h {
        let (from, row) = (mask.row(y), y * w..(y + 1) * w);
        let row = &mut across.as_mut_slice()[row];
        row.iter_mut()
            .skip(1)
            .zip(from)
            .for_each(|(o, &left)| *o = merge(*o, left));
        row.iter_mut()
            .zip(&from[1..])
            .for_each(|(o, &right)| *o = merge(*o, right));
    }
    let mut out = across.clone();
    for y in 0..h {
        for other in [y.wrapping_sub(1), y + 1] {
            if other < h {
                let row = &mut out.as_mut_slice()[y * w..(y + 1) * w];
                let pairs = row.iter_mut().zip(across.row(other));
                pairs.for_each(|(o, &v)| *o = merge(*o, v));
            }
        }
    }
    out
}

/// Decodes the compressed counts of COCO's mask format: run lengths down the columns, background
/// first, five bits a character, from the third on as differences to the one before the last.
fn decode_coco(mask: &CocoMask) -> Mask {
    let mut counts: Vec<i64> = Vec::new();
    let (mut value, mut shift) = (0i64, 0);
    for byte in mask.counts.bytes() {
        let bits = i64::from(byte) - 48;
        value |= (bits & 0x1f) << shift;
        shift += 5;
        if bits & 0x20 != 0 {
            continue;
        }
        if bits & 0x10 != 0 {
            value |= -1 << shift;
        }
        if counts.len() > 2 {
            value += counts[counts.len() - 2];
        }
        counts.push(value);
        (value, shift) = (0, 0);
    }
    let [height, width] = mask.size;
    let mut out = Mask::empty(height, width);
    let (mut position, mut set) = (0usize, false);
    for count in counts {
        if set {
            for i in position..position + count as usize {
                out.set(i % height, i / height, true);
            }
        }
        position += count as usize;
        set = !set;
    }
    assert_eq!(position, height * width);
    out
}

/// Reads an 8-bit PNG as a mask: every value above 0 is the object.
pub fn read_binary(path: &Path) -> Mask {
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path).unwrap()));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().unwrap();
    assert_eq!(reader.info().bits_per_pixel(), 8);
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    let (height, width) = (info.height as usize, info.width as usize);
    Mask::from_fn(height, width, |y, x| data[y * width + x] > 0)
}

/// Writes a mask as a 1-bit grey PNG, making its folder.
pub fn write_mask(path: &Path, mask: &Mask) {
    let mut data = Vec::new();
    for y in 0..mask.height() {
        for chunk in mask.row(y).chunks(8) {
            let bits = chunk.iter().enumerate();
            data.push(bits.fold(0, |byte, (i, &set)| byte | (u8::from(set) << (7 - i))));
        }
    }
    let depth = png::BitDepth::One;
    write_png(
        path,
        (mask.height(), mask.width()),
        png::ColorType::Grayscale,
        depth,
        &data,
    );
}

/// Writes object numbers as an 8-bit palette PNG, making its folder.
pub fn write_labels(path: &Path, height: usize, width: usize, labels: &[u8]) {
    let depth = png::BitDepth::Eight;
    write_png(
        path,
        (height, width),
        png::ColorType::Indexed,
        depth,
        labels,
    );
}

fn write_png(
    path: &Path,
    (height, width): (usize, usize),
    colour: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = BufWriter::new(File::create(path).unwrap());
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::Fast);
    if colour == png::ColorType::Indexed {
        encoder.set_palette((0..768).map(|i| (i * 37 % 251) as u8).collect::<Vec<_>>());
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
}

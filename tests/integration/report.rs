//! What someone does who looks at a run: opens report.html in a browser. The figures that the page
//! shows are read out of it in headless Chromium and compared with summary.json.

use crate::support::{chromium, json, masklet, run, small, synthetic};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A name that would run a program in a page that does not escape it.
const HOSTILE: &str = "<img src=x onerror=document.title='owned'>\"'&";

/// A split of two small videos, one of them with a hostile name and an object that is never seen.
fn hostile_split() -> tempfile::TempDir {
    let split = small(2, 9, 2);
    let root = split.path();
    for folder in ["JPEGImages_24fps", "Annotations_6fps"] {
        fs::rename(
            root.join(folder).join("synth_000001"),
            root.join(folder).join(HOSTILE),
        )
        .unwrap();
    }
    fs::remove_file(root.join("synth.txt")).unwrap();
    let lost = root.join("Annotations_6fps").join(HOSTILE).join("001");
    for entry in fs::read_dir(&lost).unwrap() {
        crate::support::write_gray_png(&entry.unwrap().path(), 64, 48, |_, _| 0);
    }
    split
}

/// The page after it has been loaded, as HTML.
fn dump(browser: &str, page: &Path) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args([
            "--window-size=1280,1000",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Opens a page in frames of 400 and of 1280 pixels inside a page of our own, whose script looks at
/// it from outside and leaves what it saw in its title.
fn look(browser: &str, report: &Path) -> Value {
    let text = fs::read_to_string(report).unwrap();
    let source = text.replace('&', "&amp;").replace('"', "&quot;");
    let script = r##"
        const seen = {};
        for (const frame of document.querySelectorAll("iframe")) {
            const page = frame.contentDocument, root = page.documentElement;
            const view = frame.contentWindow;
            const shown = [...page.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().width > 0);
            const outside = [];
            for (const svg of shown) {
                const box = svg.getBoundingClientRect();
                for (const text of svg.querySelectorAll("text")) {
                    const own = text.getBoundingClientRect();
                    if (own.left < box.left - 1 || own.right > box.right + 1
                        || own.top < box.top - 1 || own.bottom > box.bottom + 1)
                        outside.push(text.textContent.trim());
                }
            }
            const overlaps = [];
            for (const svg of shown) {
                const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent.trim(), t.getBoundingClientRect()]);
                boxes.forEach(([a, p], at) => boxes.slice(at + 1).forEach(([b, q]) => {
                    if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1)
                        overlaps.push(a + " | " + b);
                }));
            }
            const cells = {};
            for (const cell of page.querySelectorAll("#figures [data-metric]"))
                cells[cell.dataset.model + " " + cell.dataset.metric] =
                    [cell.dataset.value ?? null, cell.textContent];
            const boxes = [...page.querySelectorAll(".scroll")];
            seen[frame.id] = {
                width: root.scrollWidth, window: view.innerWidth,
                plots: shown.length, outside, overlaps, cells,
                small: Math.min(...shown.flatMap(s => [...s.querySelectorAll("text")])
                    .filter(t => t.textContent.trim())
                    .map(t => t.getBoundingClientRect().height)),
                loaded: view.performance.getEntriesByType("resource").map(e => e.name)
                    .filter(name => !name.startsWith("data:")),
                broken: [...page.images].filter(i => !i.naturalWidth).length,
                pictures: page.images.length, hard: page.querySelectorAll("#hardest li[data-jf]").length,
                scripts: page.scripts.length,
                figures: page.querySelectorAll("figure").length,
                late: page.querySelector("#deadlines [data-metric=deadline_misses]")?.dataset.value ?? null,
                videos: [...page.querySelectorAll("#failed th, #failed td, #hardest h3")].map(e => e.textContent),
                dark: view.getComputedStyle(page.body).backgroundColor,
                boxes: boxes.every(b => b.getBoundingClientRect().right <= view.innerWidth),
                title: page.title, text: page.body.innerText,
            };
        }
        const out = document.createElement("script");
        out.type = "text/plain"; out.id = "seen";
        out.textContent = encodeURIComponent(JSON.stringify(seen));
        document.body.append(out);
    "##;
    let frame = |id: &str, width: u32| {
        format!(
            "<iframe id=\"{id}\" style=\"width:{width}px;height:900px;border:0\" srcdoc=\"{source}\"></iframe>"
        )
    };
    let page = format!(
        "<!DOCTYPE html><body>{}{}<script>window.onload = () => {{ {script} }}</script></body>",
        frame("narrow", 400),
        frame("wide", 1280)
    );
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("wrapper.html");
    fs::write(&wrapper, page).unwrap();
    let dom = dump(browser, &wrapper);
    let seen = dom
        .split("id=\"seen\">")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next())
        .unwrap_or_else(|| {
            panic!(
                "the page was not seen: {}",
                &dom[dom.len().saturating_sub(800)..]
            )
        });
    serde_json::from_str(&percent_decoded(seen)).unwrap()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

/// What holds for every page at every width.
fn assert_sound(seen: &Value) {
    for width in ["narrow", "wide"] {
        let page = &seen[width];
        assert!(
            page["width"].as_u64() <= page["window"].as_u64(),
            "{width} scrolls sideways: {page}"
        );
        assert_eq!(page["boxes"], true, "{width}: a table leaves the page");
        for none in ["loaded", "outside", "overlaps"] {
            assert_eq!(page[none], Value::Array(Vec::new()), "{none} at {width}");
        }
        assert_eq!(page["broken"], 0, "{width}");
        assert_eq!(page["scripts"], 0, "{width}");
        assert!(page["plots"].as_u64().unwrap() >= 2, "{width}");
        assert!(
            page["small"].as_f64().unwrap() >= 9.0,
            "{width}: {}",
            page["small"]
        );
        assert!(
            !page["title"].as_str().unwrap().contains("owned"),
            "{width}"
        );
    }
}

/// The same number, but for the last digits that reading JSON may change.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

fn assert_loads_nothing(report: &Path) {
    let text = fs::read_to_string(report).unwrap();
    for from in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!text.contains(from), "the page holds {from}");
    }
}

#[test]
fn what_is_missing_is_said_in_words() {
    let split = small(1, 13, 1);
    let out = split.path().join("run");
    let ran = run(
        split.path(),
        &out,
        &["--telemetry-hz", "0", "--save-masks", "none"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(text.contains("telemetry was off in this run"));
    assert!(text.contains("No pictures: predicted masks were not saved (--save-masks none)."));
    assert!(!text.contains("id=\"power\"") && !text.contains("<img"));
    // Without run.json the figures are there all the same.
    fs::remove_file(out.join("run.json")).unwrap();
    let path = out.display().to_string();
    let ran = masklet(&["report", &path, "--out", "-"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("There is no run.json") && ran.stdout.contains("data-metric=\"jf\"")
    );
    fs::write(out.join("run.json"), "{").unwrap();
    let ran = masklet(&["report", &path]);
    assert_eq!(
        (ran.code, ran.stderr.contains("run.json")),
        (4, true),
        "{ran:?}"
    );
    let nothing = split.path().join("nothing").display().to_string();
    let ran = masklet(&["report", &nothing]);
    assert_eq!(
        (ran.code, ran.stderr.contains("not a run folder")),
        (2, true),
        "{ran:?}"
    );
}

/// Misses and drops of a run at a rate that nothing keeps up with.
#[test]
fn a_run_in_real_time_shows_its_misses() {
    let split = synthetic(&["--videos", "1", "--frames", "9", "--size", "64x48"]);
    let out = split.path().join("run");
    let ran = run(split.path(), &out, &["--realtime", "100000"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let summary = fs::read(out.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let live = &summary["models"][0]["realtime"];
    assert!(live["dropped_frames"].as_u64().unwrap() > 0, "{live}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for name in ["late_frames", "dropped_frames"] {
        let cell = format!("data-metric=\"{name}\" data-value=\"{}\"", live[name]);
        assert!(page.contains(&cell), "{cell}");
    }
    assert!(!page.contains("took frames as fast as it could"));
}

#[test]
fn a_comparison_is_a_page_too() {
    let split = small(2, 9, 2);
    let at = |name: &str| split.path().join(name).display().to_string();
    for (name, mode) in [("a", "lockstep"), ("b", "lockstep"), ("c", "isolated")] {
        let ran = run(split.path(), &split.path().join(name), &["--objects", mode]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let page = split.path().join("compare.html");
    let (a, b, c, html) = (at("a"), at("b"), at("c"), at("compare.html"));
    let figures = at("compare.json");
    let ran = masklet(&[
        "compare",
        &a,
        &b,
        &c,
        "--anyway",
        "--html",
        &html,
        "--json",
        &figures,
        "--resamples",
        "200",
        "--threshold",
        "jf=-100",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_loads_nothing(&page);
    let text = fs::read_to_string(&page).unwrap();
    let found = json(&split.path().join("compare.json"));
    let shown: Vec<(String, f64)> = text
        .split("data-change=\"")
        .skip(1)
        .map(|rest| {
            let (change, rest) = rest.split_once("\" data-figure=\"").unwrap();
            let name = rest.split('"').next().unwrap();
            (name.to_owned(), change.parse().unwrap())
        })
        .collect();
    let against = found["against"].as_array().unwrap().iter();
    let figures = against.flat_map(|pair| pair["models"][0]["figures"].as_array().unwrap());
    let expected: Vec<(String, f64)> = figures
        .map(|figure| {
            let name = figure["name"].as_str().unwrap();
            (name.to_owned(), figure["change"].as_f64().unwrap())
        })
        .collect();
    assert_eq!(shown.len(), expected.len());
    for (shown, expected) in shown.iter().zip(&expected) {
        assert!(
            shown.0 == expected.0 && near(shown.1, expected.1),
            "{shown:?} {expected:?}"
        );
    }
    assert!(text.contains("are not comparable") && text.contains("holds: jf of"));
    assert!(text.contains("Objects whose J&amp;F changed most"));
    // Withheld figures are not in the page either.
    let ran = masklet(&["compare", &a, &c, "--html", &html]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let withheld = fs::read_to_string(&page).unwrap();
    assert!(withheld.contains("withheld") && !withheld.contains("data-change"));
    let ran = masklet(&["compare", &a, &b, "--html", "-", "--json", "-"]);
    assert_eq!(ran.code, 2, "{ran:?}");

    let Some(browser) = chromium() else { return };
    fs::write(&page, text).unwrap();
    assert_sound(&look(browser, &page));
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn a_browser_shows_the_figures_of_the_summary() {
        let split = hostile_split();
        let out = split.path().join("run");
        let models = ["--models", "edgetam_small_points,edgetam_small_bbox"];
        let ran = run(split.path(), &out, &models);
        assert_eq!(ran.code, 1, "one object is never visible: {ran:?}");
        let report = out.join("report.html");
        assert!(ran.stdout.contains("report.html"), "{}", ran.stdout);
        assert_loads_nothing(&report);
        let text = fs::read_to_string(&report).unwrap();
        assert!(!text.contains("<img src=x"), "a name became markup");

        // Made again it is the same page, but for the moment.
        let again = split.path().join("again.html");
        let (run_text, again_text) = (out.display().to_string(), again.display().to_string());
        let made = masklet(&["report", &run_text, "--out", &again_text]);
        assert_eq!(made.code, 0, "{made:?}");
        let timeless = |text: &str| -> String {
            let (before, rest) = text.split_once("Page made").unwrap();
            format!("{before}{}", rest.split_once("UTC").unwrap().1)
        };
        assert!(timeless(&text) == timeless(&fs::read_to_string(&again).unwrap()));

        let Some(browser) = chromium() else { return };
        let seen = look(browser, &report);
        assert_sound(&seen);
        let summary = json(&out.join("summary.json"));
        let mut compared = BTreeMap::new();
        for model in summary["models"].as_array().unwrap() {
            let tag = model["model"].as_str().unwrap();
            let wall = &model["latency_ms"]["counted"]["end_to_end"];
            for (metric, expected) in [
                ("jf", &model["official_percent"]["JF"]),
                ("fps_end_to_end", &model["speed"]["fps_end_to_end"]),
                ("fps_model", &model["speed"]["fps_model"]),
                ("p50", &wall["p50_ms"]),
                ("p99", &wall["p99_ms"]),
                ("p99_bound", &wall["p99_bound_ms"]),
                ("arena", &model["memory"]["arena_peak_bytes"]),
                ("rss", &model["memory"]["peak_rss_bytes"]),
                (
                    "energy_per_frame",
                    &model["telemetry"]["energy_per_frame_j"],
                ),
                ("objects_ok", &model["counts"]["ok"]),
                ("objects_failed", &model["counts"]["failed"]),
                ("frames", &model["speed"]["frames"]),
            ] {
                for width in ["narrow", "wide"] {
                    let cell = &seen[width]["cells"][format!("{tag} {metric}")];
                    let shown = cell[0].as_str().map(|text| text.parse::<f64>().unwrap());
                    let same = match (shown, expected.as_f64()) {
                        (Some(shown), Some(expected)) => near(shown, expected),
                        (shown, expected) => shown == expected,
                    };
                    assert!(same, "{tag} {metric}: {cell} {expected}");
                    let words = cell[1].as_str().unwrap();
                    let dash = words.starts_with('\u{2013}');
                    assert_eq!(dash, expected.is_null(), "{tag} {metric}: {words}");
                    assert!(!dash || words.len() > 8, "a dash has its reason: {words}");
                }
                compared.insert(metric, expected.clone());
            }
        }
        assert!(compared["fps_end_to_end"].is_number() && compared["p99_bound"].is_null());

        // Deadline misses are those of the journal.
        let journal = fs::read_to_string(out.join("journal.jsonl")).unwrap();
        let rows = journal
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut clips: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in rows.filter_map(|line| line.get("object").cloned()) {
            let bbox = row["model"] == "edgetam_small_bbox" && row["status"] == "ok";
            let wall = &row["timing"]["stages"]["end_to_end"]["ms"];
            if let Some(wall) = wall.as_array().filter(|_| bbox) {
                // A video's objects share their frames' wall clock, from the first prompt on.
                let ms: Vec<f64> = wall.iter().map(|ms| ms.as_f64().unwrap()).collect();
                let known = clips.entry(row["video"].to_string()).or_default();
                if ms.len() > known.len() {
                    *known = ms;
                }
            }
        }
        let late = clips
            .values()
            .flatten()
            .filter(|ms| **ms > 1000.0 / 24.0)
            .count();
        assert_eq!(seen["wide"]["late"], late.to_string());

        let videos = seen["wide"]["videos"].to_string();
        let names: Value = seen["wide"]["videos"].clone();
        let told = names.as_array().unwrap().iter().any(|name| name == HOSTILE);
        assert!(told && videos.contains("cannot be prompted"), "{videos}");
        // Per object the prompt's frame and one of each model.
        let (hard, pictures) = (&seen["wide"]["hard"], &seen["wide"]["pictures"]);
        assert!(hard.as_u64().unwrap() >= 2);
        assert_eq!(pictures.as_u64().unwrap(), hard.as_u64().unwrap() * 3);
        assert!(fs::metadata(&report).unwrap().len() < 600_000);
    }
}

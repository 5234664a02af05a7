//! Numbers as people read them.

/// Milliseconds with three significant digits or so: `0.123 ms`, `12.3 ms`, `1.23 s`.
pub fn milliseconds(ms: f64) -> String {
    if !ms.is_finite() {
        return "-".to_owned();
    }
    let size = ms.abs();
    if size >= 60_000.0 {
        let whole = (ms / 1000.0).round();
        return format!(
            "{:.0} min {:02.0} s",
            (whole / 60.0).trunc(),
            (whole % 60.0).abs()
        );
    }
    match size {
        s if s >= 999.5 => format!("{:.2} s", ms / 1000.0),
        s if s >= 99.95 => format!("{ms:.0} ms"),
        s if s >= 9.995 => format!("{ms:.1} ms"),
        s if s >= 0.9995 => format!("{ms:.2} ms"),
        _ => format!("{ms:.3} ms"),
    }
}

/// A rate with two decimals at most: `24`, `29.97`, `0.5`.
pub fn rate(per_second: f64) -> String {
    let text = format!("{per_second:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes in binary units: `512 B`, `1.5 KiB`, `373.2 MiB`, `5.03 GiB`.
pub fn bytes(count: u64) -> String {
    scaled(count as f64)
}

/// A change in bytes, with its sign: `+1.2 KiB`, `-3 B`, `0 B`.
pub fn signed_bytes(change: f64) -> String {
    if !change.is_finite() {
        return "-".to_owned();
    }
    let text = scaled(change.abs());
    match change {
        _ if text == "0 B" => text,
        c if c < 0.0 => format!("-{text}"),
        _ => format!("+{text}"),
    }
}

/// Bytes as MiB (2^20 bytes).
pub fn mebibytes(count: u64) -> f64 {
    count as f64 / (1024.0 * 1024.0)
}

fn scaled(count: f64) -> String {
    const STEP: f64 = 1024.0;
    match count {
        c if c < STEP => format!("{c:.0} B"),
        c if c < STEP.powi(2) => format!("{:.1} KiB", c / STEP),
        c if c < STEP.powi(3) => format!("{:.1} MiB", c / STEP.powi(2)),
        c => format!("{:.2} GiB", c / STEP.powi(3)),
    }
}

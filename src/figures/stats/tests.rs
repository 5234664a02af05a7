//! Worked examples and laws of the statistics.

use proptest::prelude::*;

use super::*;

#[test]
fn nearest_rank_gives_values_that_were_seen() {
    // The textbook example of the nearest-rank method: 15, 20, 35, 40, 50.
    let sorted = [15.0, 20.0, 35.0, 40.0, 50.0];
    for (percent, expected) in [
        (0.0, 15.0),
        (5.0, 15.0),
        (30.0, 20.0),
        (40.0, 20.0),
        (50.0, 35.0),
        (100.0, 50.0),
    ] {
        assert_eq!(nearest_rank(&sorted, percent), Some(expected), "{percent}");
    }
    let twenty: Vec<f64> = (1..=20).map(f64::from).collect();
    assert_eq!(nearest_rank(&twenty, 95.0), Some(19.0));
    let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
    for percent in 1..=100 {
        let percent = f64::from(percent);
        assert_eq!(nearest_rank(&hundred, percent), Some(percent));
    }
    assert_eq!(nearest_rank(&[], 50.0), None);
}

#[test]
fn summary_of_a_worked_example() {
    // mean 5, sum of squared deviations 32, sample sd sqrt(32/7)
    let summary = Samples::from_ms([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
        .summary()
        .unwrap();
    assert_eq!((summary.n, summary.mean_ms), (8, 5.0));
    assert!((summary.sd_ms - 2.138_089_935).abs() < 1e-9);
    assert!((summary.cv.unwrap() - 0.427_617_987).abs() < 1e-9);
    assert_eq!((summary.min_ms, summary.max_ms), (2.0, 9.0));
    assert_eq!((summary.p50_ms, summary.p90_ms), (4.0, 9.0));
}

#[test]
fn nothing_has_no_summary_and_one_sample_has_no_spread() {
    assert_eq!(Samples::default().summary(), None);
    let one = Samples::from_ms([3.0]).summary().unwrap();
    assert_eq!((one.sd_ms, one.p99_ms, one.outliers), (0.0, 3.0, 0));
    let zero = Samples::from_ms([0.0]).summary().unwrap();
    assert_eq!(zero.cv, None);
}

#[test]
fn values_that_are_no_durations_are_counted_apart() {
    let samples = Samples::from_ms([1.0, f64::NAN, -1.0, f64::INFINITY, 2.0]);
    assert_eq!((samples.len(), samples.rejected()), (2, 3));
    assert_eq!(samples.total_ms(), 3.0);
}

#[test]
fn outliers_by_modified_z_score() {
    // Median 2.15; deviations have a median of 0.05. 3.0 lies far outside, 2.3 inside:
    // 0.6745 * 0.15 / 0.05 = 2.02.
    let values = [2.1, 2.2, 2.1, 2.2, 2.15, 2.3, 3.0, 2.15, 2.1];
    let scores = modified_z_scores(&values);
    assert!((scores[5] - 0.6745 * 0.15 / 0.05).abs() < 1e-3);
    assert_eq!(outlier_count(&values), 1);
}

#[test]
fn outliers_among_equal_values_are_still_seen() {
    let mut values = vec![5.0; 99];
    assert_eq!(outlier_count(&values), 0);
    values.push(50.0);
    assert_eq!(outlier_count(&values), 1);
    assert_eq!(outlier_count(&[]), 0);
}

#[test]
fn a_line_is_found_with_its_error() {
    // x 1..5, y 2,4,5,4,5: slope 0.6, residual sum of squares 2.4, SE sqrt(2.4/3/10).
    let points = [(1.0, 2.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)];
    let slope = fit_line(&points).unwrap();
    assert!((slope.per_step - 0.6).abs() < 1e-12);
    assert!((slope.standard_error.unwrap() - 0.282_842_712).abs() < 1e-9);
    assert_eq!((slope.degrees_of_freedom, slope.n, slope.span), (3, 5, 4.0));
    // 0.6 < 3.182 * 0.283: not told from flat.
    assert_eq!(slope.flatness(0.0), Flatness::Flat);
}

#[test]
fn growth_is_told_from_flat() {
    let grows: Vec<_> = (0..10)
        .map(|i| (f64::from(i), 100.0 * f64::from(i)))
        .collect();
    let slope = fit_line(&grows).unwrap();
    assert_eq!(slope.flatness(0.0), Flatness::Growing);
    assert_eq!(slope.flatness(1e6), Flatness::Flat, "below the tolerance");
    let shrinks: Vec<_> = grows.iter().map(|(x, y)| (*x, -y)).collect();
    assert_eq!(fit_line(&shrinks).unwrap().flatness(0.0), Flatness::Flat);
    assert_eq!(
        fit_line(&grows[..2]).unwrap().flatness(0.0),
        Flatness::TooFew
    );
    assert_eq!(fit_line(&grows[..1]), None);
    assert_eq!(fit_line(&[(1.0, 1.0), (1.0, 2.0)]), None);
    assert_eq!(fit_line(&[(1.0, f64::NAN), (2.0, 2.0)]), None);
}

#[test]
fn a_restart_at_another_level_is_no_growth() {
    let first: Vec<_> = (0..5).map(|i| (f64::from(i), 100.0)).collect();
    let second: Vec<_> = (5..10).map(|i| (f64::from(i), 900.0)).collect();
    let slope = fit_line_within(&[&first, &second]).unwrap();
    assert_eq!((slope.per_step, slope.degrees_of_freedom), (0.0, 7));
    assert_eq!(slope.flatness(0.0), Flatness::Flat);
}

#[test]
fn student_quantiles_meet_at_the_end_of_the_table() {
    assert_eq!(student_t_975(0), None);
    assert_eq!(student_t_975(1), Some(12.706));
    // 2.0395 at 31, 1.9840 at 100 (standard tables)
    assert!((student_t_975(31).unwrap() - 2.0395).abs() < 1e-3);
    assert!((student_t_975(100).unwrap() - 1.9840).abs() < 1e-3);
}

#[test]
fn stability_looks_at_the_end_of_the_series() {
    let mut series: Vec<f64> = (0..150).map(|i| 100.0 - f64::from(i) / 3.0).collect();
    assert_eq!(stability(&series).text(), "did not stabilise");
    series.extend(std::iter::repeat_n(40.0, 150));
    assert_eq!(
        stability(&series),
        Stability::Stable {
            ratio: 1.0,
            window: 50
        }
    );
    assert_eq!(
        stability(&series[..23]),
        Stability::TooShort { samples: 23 }
    );
    assert_ne!(stability(&series[..24]).text(), "too short to judge");
    assert_eq!(stability(&[0.0; 30]).text(), "stable");
}

#[test]
fn numbers_as_people_read_them() {
    for (ms, text) in [
        (0.0, "0.000 ms"),
        (0.1234, "0.123 ms"),
        (1.5, "1.50 ms"),
        (41.7, "41.7 ms"),
        (99.96, "100 ms"),
        (123.4, "123 ms"),
        (1234.0, "1.23 s"),
        (61_000.0, "1 min 01 s"),
        (f64::NAN, "-"),
    ] {
        assert_eq!(milliseconds(ms), text);
    }
    for (count, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (391_344_128, "373.2 MiB"),
        (5_400_000_000, "5.03 GiB"),
    ] {
        assert_eq!(bytes(count), text);
    }
    assert_eq!(signed_bytes(-2048.0), "-2.0 KiB");
    assert_eq!(signed_bytes(0.2), "0 B");
    assert_eq!(signed_bytes(10.0), "+10 B");
}

proptest! {
    #[test]
    fn percentiles_are_ordered_and_seen(values in prop::collection::vec(0.0..1e6_f64, 1..200)) {
        let summary = Samples::from_ms(values.iter().copied()).summary().unwrap();
        let ladder = [summary.min_ms, summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms, summary.max_ms];
        prop_assert!(ladder.windows(2).all(|w| w[0] <= w[1]));
        prop_assert!(ladder.iter().all(|v| values.contains(v)));
        // At least half of the samples are at or below the median, for every percentile alike.
        for (percent, value) in [(50.0, summary.p50_ms), (99.0, summary.p99_ms)] {
            let below = values.iter().filter(|v| **v <= value).count() as f64;
            prop_assert!(below / values.len() as f64 >= percent / 100.0 - 1e-9);
        }
    }

    #[test]
    fn nothing_here_panics(values in prop::collection::vec(prop::num::f64::ANY, 0..80)) {
        let _ = Samples::from_ms(values.iter().copied()).summary();
        let _ = outlier_count(&values);
        let _ = stability(&values);
        let points: Vec<_> = values.iter().map(|v| (*v, *v)).collect();
        let _ = fit_line(&points).map(|s| s.flatness(0.0));
        for v in &values {
            let _ = (milliseconds(*v), signed_bytes(*v));
        }
    }
}

/// What scipy says; `tests/golden/compare/make_golden.py` made it.
fn scipy() -> serde_json::Value {
    serde_json::from_str(include_str!(
        "../../../tests/golden/compare/statistics.json"
    ))
    .unwrap()
}

#[test]
fn tail_bounds_are_the_order_statistics_that_scipy_finds() {
    let golden = scipy();
    for case in golden["tail"].as_array().unwrap() {
        let percent = case["percent"].as_f64().unwrap();
        let n = case["n"].as_u64().unwrap() as usize;
        let samples: Vec<f64> = (1..=n).map(|value| value as f64).collect();
        // The t-th largest of 1..=n is n - t + 1.
        let t = case["largest_t"].as_i64().unwrap();
        let expected = (t >= 1).then(|| (n as i64 - t + 1) as f64);
        assert_eq!(tail_bound(&samples, percent), expected, "{case}");
    }
    for case in golden["tail_fewest"].as_array().unwrap() {
        let needed = tail_samples_needed(case["percent"].as_f64().unwrap());
        assert_eq!(needed.map(|n| n as u64), case["samples"].as_u64(), "{case}");
    }
}

#[test]
fn tail_bounds_are_those_that_loadgen_prints() {
    // "Would discard N highest latency queries" in public logs of LoadGen for p90: t - 1 of them.
    for (queries, discarded) in [
        (2048, 172),
        (2116, 178),
        (2145, 181),
        (7469, 685),
        (4_776_846, 476_158),
    ] {
        let samples: Vec<f64> = (1..=queries).map(f64::from).collect();
        let above = f64::from(queries) - tail_bound(&samples, 90.0).unwrap();
        assert_eq!(above, f64::from(discarded), "{queries}");
    }
    for percent in [0.0, 100.0, -1.0, f64::NAN] {
        assert_eq!(tail_bound(&[1.0; 1000], percent), None);
        assert_eq!(tail_samples_needed(percent), None);
    }
}

#[test]
fn bootstrap_intervals_are_scipys_within_the_error_of_resampling() {
    // A quantile of R resamples has the standard error sqrt(p (1 - p) / R) / density. At the 2.5 %
    // quantile of a distribution near to normal the density is 0.0584 / sd, so with R = 100 000 it
    // is 0.0085 sd; scipy's, with 400 000, is half of that. Five times both together is 0.05 sd.
    let bootstrap = Bootstrap {
        resamples: 100_000,
        seed: 3,
    };
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        let list = value.as_array().unwrap();
        list.iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let near = |found: Interval, golden: &serde_json::Value, name: &serde_json::Value| {
        let tolerance = 0.05 * golden["standard_error"].as_f64().unwrap() + 1e-12;
        for (ours, theirs) in [(found.low, &golden["low"]), (found.high, &golden["high"])] {
            let error = (ours - theirs.as_f64().unwrap()).abs();
            assert!(error <= tolerance, "{name}: {found:?} against {golden}");
        }
    };
    let golden = scipy();
    for case in golden["speed"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let ratios: Vec<_> = a.iter().zip(&b).map(|(a, b)| vec![b / a]).collect();
        let found = bootstrap.geometric_mean(&ratios).unwrap();
        assert!((found.value - case["ratio"].as_f64().unwrap()).abs() < 1e-12);
        let interval = found.interval.unwrap();
        let logs = Interval {
            low: interval.low.ln(),
            high: interval.high.ln(),
        };
        near(logs, &case["log_interval"], &case["name"]);
    }
    for case in golden["score"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let differences: Vec<_> = a.iter().zip(&b).map(|(a, b)| vec![b - a]).collect();
        let found = bootstrap.mean(&differences).unwrap();
        assert!((found.value - case["difference"].as_f64().unwrap()).abs() < 1e-12);
        near(found.interval.unwrap(), &case["interval"], &case["name"]);
    }
}

#[test]
fn a_bootstrap_of_two_values_is_known_exactly() {
    // Resampled means of {0, 1}: 0, 1/2 and 1 with 1/4, 1/2 and 1/4.
    let bootstrap = Bootstrap::default();
    let found = bootstrap.mean(&[vec![0.0], vec![1.0]]).unwrap();
    let all = Interval {
        low: 0.0,
        high: 1.0,
    };
    assert_eq!((found.value, found.interval), (0.5, Some(all)));
    // Objects of one video are one cluster, however many they are.
    let one = bootstrap.mean(&[vec![0.0, 1.0, 5.0], vec![]]).unwrap();
    assert_eq!((one.value, one.interval), (2.0, None));
    let two = bootstrap
        .mean(&[vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0]])
        .unwrap();
    assert_eq!(two.interval.map(|i| (i.low, i.high)), Some((2.0, 2.0)));
    assert_eq!(bootstrap.mean(&[]), None);
    assert_eq!(bootstrap.mean(&[vec![f64::NAN], vec![1.0]]), None);
    assert_eq!(bootstrap.geometric_mean(&[vec![0.0], vec![1.0]]), None);
    let again = bootstrap.mean(&[vec![0.1], vec![0.5], vec![0.7]]);
    assert_eq!(again, bootstrap.mean(&[vec![0.1], vec![0.5], vec![0.7]]));
}

//! Records which commit is built. Where a checkout has no git, the version alone must do.
//!
//! Compiling model exports into engines at build time will live here too; this version has no
//! backend that needs it, so nothing else happens.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/index");
    let describe = Command::new("git")
        .args(["describe", "--always", "--dirty", "--tags"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    if let Some(describe) = describe {
        println!("cargo::rustc-env=MASKLET_GIT_DESCRIBE={}", describe.trim());
    }
}

//! Compiles the real kernel source as C++, so that the stand-in runs what the device runs.

use std::path::Path;

fn main() {
    let kernels = Path::new("../../../engines/src/cuda/kernels/vision.cu");
    println!("cargo::rerun-if-changed=host/kernels.cpp");
    println!("cargo::rerun-if-changed={}", kernels.display());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("host/kernels.cpp")
        // The arithmetic is the device's: nothing fused, nothing reordered.
        .flag("-ffp-contract=off")
        .flag("-fno-fast-math")
        .opt_level(2)
        .cpp_link_stdlib(None)
        .flag("-fno-exceptions")
        .flag("-fno-rtti")
        .compile("masklet_sim_kernels");
    // Loaders look for libraries by this name, among those already loaded too.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    // The state and the report at exit outlive whoever opened the library, as the real one does.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}

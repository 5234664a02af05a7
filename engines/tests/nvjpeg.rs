//! The nvJPEG binding against NVIDIA's real library.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[test]
fn nvidias_nvjpeg_is_loaded_and_tells_its_version() {
    let Some(folder) = support::library_folder("nvjpeg") else {
        return;
    };
    // Every function that is called is there; using them takes a driver.
    let library = masklet_engines::cuda::JpegLibrary::load(Some(&folder)).unwrap();
    assert!(library.version().starts_with("12."), "{library:?}");
    let empty = tempfile::tempdir().unwrap();
    let missing = masklet_engines::cuda::JpegLibrary::load(Some(empty.path())).unwrap_err();
    assert!(missing.to_string().contains("libnvjpeg.so.12"), "{missing}");
}

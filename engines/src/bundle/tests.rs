//! Bundles are refused for every way in which they can be wrong, in a sentence that names it.

use super::*;
use std::fs;

/// The embedded bundle written to a folder, so that a test can damage it.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in store::EMBEDDED {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Opens the bundle after `edit` changed its manifest and returns the refusal.
fn refusal(edit: impl Fn(String) -> String) -> String {
    let folder = written();
    let path = folder.path().join(MANIFEST_FILE);
    let before = fs::read_to_string(&path).unwrap();
    let after = edit(before.clone());
    assert_ne!(before, after, "the edit must change something");
    fs::write(&path, after).unwrap();
    Bundle::open(folder.path()).unwrap_err().to_string()
}

#[test]
fn the_embedded_bundle_opens_and_is_the_same_from_a_folder() {
    let embedded = Bundle::embedded().unwrap();
    let folder = written();
    let opened = Bundle::open(folder.path()).unwrap();
    assert_eq!(embedded.sha256(), opened.sha256());
    assert!(embedded.is_embedded() && !opened.is_embedded());
    assert_eq!(embedded.manifest().image_size, 256);
    for component in Component::ALL {
        assert_eq!(embedded.component(component).name, component.name());
        assert_eq!(
            embedded.graph(component).unwrap(),
            opened.graph(component).unwrap()
        );
    }
}

#[test]
fn an_unknown_version_is_refused_before_anything_else() {
    let text = refusal(|t| t.replace("format = 2", "format = 9\nwhatever = true"));
    assert!(
        text.contains("format 9 is not known") && text.contains("reads format 2"),
        "{text}"
    );
}

#[test]
fn a_misspelt_key_is_refused_by_name() {
    let text = refusal(|t| t.replace("image_size", "imagesize"));
    assert!(text.contains("imagesize"), "{text}");
}

#[test]
fn an_impossible_image_size_names_the_allowed_ones() {
    let text = refusal(|t| t.replace("image_size = 256", "image_size = 384"));
    assert!(
        text.contains("384") && text.contains("multiples of 256"),
        "{text}"
    );
}

#[test]
fn a_changed_shape_names_both_shapes() {
    let text = refusal(|t| t.replace("shape = [1, 3, 256, 256]", "shape = [1, 3, 256, 255]"));
    assert!(
        text.contains("image f32 (1,3,256,255)") && text.contains("image f32 (1,3,256,256)"),
        "{text}"
    );
}

#[test]
fn a_manifest_that_agrees_with_itself_but_not_with_the_graph_is_refused() {
    // Batch 2 everywhere: the contract holds, the graphs are still of batch 1.
    let manifest = Bundle::embedded().unwrap().manifest().clone();
    let doubled = Manifest {
        objects_per_batch: 2,
        ..manifest
    };
    let folder = written();
    let mut edited = doubled.clone();
    for entry in &mut edited.component {
        let component = Component::ALL
            .into_iter()
            .find(|c| c.name() == entry.name)
            .unwrap();
        (entry.inputs, entry.outputs) = component.tensors(&doubled);
    }
    fs::write(
        folder.path().join(MANIFEST_FILE),
        toml::to_string(&edited).unwrap(),
    )
    .unwrap();
    let text = Bundle::open(folder.path()).unwrap_err().to_string();
    assert!(
        text.contains("the graph of 'prompt_decoder'") && text.contains("(2,9,2)"),
        "{text}"
    );
}

#[test]
fn a_missing_component_or_file_is_named() {
    let text = refusal(|t| t.replace("name = \"track_step\"", "name = \"track_stop\""));
    assert!(text.contains("'track_step' is missing"), "{text}");
    let folder = written();
    fs::remove_file(folder.path().join("mask_prompt.onnx")).unwrap();
    let text = Bundle::open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("'mask_prompt.onnx' is missing"), "{text}");
    let empty = tempfile::tempdir().unwrap();
    let text = Bundle::open(empty.path()).unwrap_err().to_string();
    assert!(text.contains("'bundle.toml' is missing"), "{text}");
}

#[test]
fn a_changed_file_is_caught_by_its_hash() {
    let folder = written();
    let path = folder.path().join("memory_encoder.onnx");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let text = Bundle::open(folder.path()).unwrap_err().to_string();
    assert!(
        text.contains("memory_encoder.onnx") && text.contains("SHA-256"),
        "{text}"
    );
}

#[test]
fn the_store_prefers_exports_and_says_what_there_is() {
    let exports = tempfile::tempdir().unwrap();
    let inner = exports.path().join("mine");
    fs::create_dir(&inner).unwrap();
    for (name, bytes) in store::EMBEDDED {
        fs::write(inner.join(name), bytes).unwrap();
    }
    let wanted = Wanted {
        name: "edgetam_small".into(),
        image_size: None,
        precision: None,
    };
    let store = BundleStore::new(Some(exports.path().to_owned()));
    assert!(!store.open(&wanted).unwrap().is_embedded());
    assert!(BundleStore::new(None).open(&wanted).unwrap().is_embedded());
    let text = store
        .open(&Wanted {
            image_size: Some(1024),
            ..wanted
        })
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("at image size 1024") && text.contains("edgetam_small 256 fp32"),
        "{text}"
    );
    let gone = BundleStore::new(Some(exports.path().join("nowhere")));
    assert!(gone.list().unwrap_err().to_string().contains("nowhere"));
}

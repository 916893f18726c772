//! The committed wire code is what `proto/` gives.
//!
//! `UPDATE=1 cargo test -p quorate-proto --test codegen` rewrites it.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

const FILES: [&str; 6] = [
    "quorate/agent/v1/agent.proto",
    "quorate/v1/check.proto",
    "quorate/v1/fleet.proto",
    "quorate/v1/history.proto",
    "quorate/v1/incident.proto",
    "quorate/v1/types.proto",
];

fn generate() -> BTreeMap<String, Vec<u8>> {
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let descriptors = protox::compile(FILES, [&protos]).expect("the .proto files compile");
    let out = tempfile::tempdir().expect("a temporary folder");
    tonic_prost_build::configure()
        .btree_map(".")
        .out_dir(out.path())
        .compile_fds(descriptors.clone())
        .expect("the code is generated");
    let mut files: BTreeMap<String, Vec<u8>> = fs::read_dir(out.path())
        .expect("the folder is readable")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            (name, fs::read(entry.path()).expect("a readable file"))
        })
        .collect();
    files.insert("descriptors.binpb".into(), descriptors.encode_to_vec());
    files
}

#[test]
fn the_committed_code_is_what_the_proto_files_give() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let update =
        option_env!("UPDATE").is_some() || std::env::vars().any(|(key, _)| key == "UPDATE");
    for (name, content) in generate() {
        let path = folder.join(&name);
        if update {
            fs::write(&path, &content).expect("the file is written");
        }
        let committed = fs::read(&path).unwrap_or_default();
        assert!(committed == content, "{name} is not what proto/ gives: run with UPDATE=1");
    }
}

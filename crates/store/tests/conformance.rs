//! Every store of the registry does what a store must do.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

use std::cell::Cell;

use quorate_store::{STORES, Store, StoreKind, conformance};
use tempfile::TempDir;

/// Where to open a store of this kind, empty. A new kind needs a line here.
fn place(kind: &StoreKind, folder: &TempDir, number: u32) -> String {
    match kind.scheme {
        "memory" => "memory:".to_owned(),
        "sqlite" => format!("sqlite:{}/{number}.db", folder.path().display()),
        other => panic!("say here how a test opens a store of kind {other}"),
    }
}

fn open(url: &str) -> Box<dyn Store> {
    quorate_store::open(url).expect("the store opens")
}

#[test]
fn every_store_passes_every_case() {
    for kind in STORES {
        let folder = TempDir::new().expect("a folder");
        let opened = Cell::new(0);
        let names = conformance::run(&mut || {
            opened.set(opened.get() + 1);
            open(&place(kind, &folder, opened.get()))
        });
        assert!(names.len() >= 21, "{}: {names:?}", kind.scheme);
    }
}

#[test]
fn every_durable_store_passes_every_durable_case() {
    let durable: Vec<_> = STORES.iter().filter(|kind| kind.durable).collect();
    assert!(!durable.is_empty());
    for kind in durable {
        let folder = TempDir::new().expect("a folder");
        for (number, case) in (0..).zip(conformance::DURABLE) {
            let url = place(kind, &folder, number);
            (case.run)(&mut || open(&url));
        }
    }
}

#[test]
fn a_store_that_is_not_there_is_named_with_those_that_are() {
    let error = quorate_store::open("mysql:/x").expect_err("no such store");
    assert_eq!(error.to_string(), "no store is called \"mysql\"; there are memory, sqlite");
}

#[test]
fn stores_are_in_alphabetical_order() {
    assert!(STORES.is_sorted_by_key(|kind| kind.scheme));
}

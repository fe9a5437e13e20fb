//! Documents that speak of the code are held to it.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = workspace();
    let document = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let named = tests_named_in(&document);
    assert!(named.len() > 50, "the table was not read: {named:?}");
    let code = sources(&root);
    // `fn name(` is a plain test; `name =>` one that runs on both databases.
    let is_test = |name: &str| {
        code.iter().any(|text| text.contains(&format!("fn {name}(")) || text.contains(&format!("{name} =>")))
    };
    // `just fuzz` is a recipe.
    let recipes = fs::read_to_string(root.join("justfile")).unwrap();
    let is_recipe = |name: &str| recipes.lines().any(|line| line.starts_with(&format!("{name} ")));
    let exists = |name: &&str| match name.strip_prefix("just ") {
        Some(command) => is_recipe(command.split(' ').next().unwrap_or_default()),
        None => is_test(name),
    };
    let missing: Vec<_> = named.iter().copied().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "the threat model names tests that do not exist: {missing:#?}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = workspace();
    let mut documents = files_below(&root.join("docs"), "md");
    documents.extend(["README.md", "CHANGELOG.md", "SECURITY.md"].map(|name| root.join(name)));
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let is_local = !path.is_empty() && !path.contains("://");
            if is_local && !document.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_program_in_the_webhooks_document_is_one_that_is_tested() {
    let root = workspace();
    let document = fs::read_to_string(root.join("docs/webhooks.md")).unwrap();
    let programs: BTreeSet<_> = blocks(&document, "js").chain(blocks(&document, "python")).collect();
    let examples = ["express.js", "standard.js", "standard.py", "plain.py"];
    let tested = examples.map(|name| fs::read_to_string(root.join("docs/examples").join(name)).unwrap());
    assert_eq!(programs, tested.iter().map(String::as_str).collect());

    // The lines of Rust are those of a documentation test.
    let crate_root = fs::read_to_string(root.join("crates/webhook/src/lib.rs")).unwrap();
    let documentation = crate_root.replace("//! ", "");
    let rust: Vec<_> = blocks(&document, "rust").collect();
    assert_eq!(rust.len(), 1);
    assert!(documentation.contains(rust[0]), "{}", rust[0]);
}

/// The code blocks of a language.
fn blocks<'a>(document: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let starts = document.split(format!("```{language}\n").as_str()).skip(1).collect::<Vec<_>>();
    starts.into_iter().filter_map(|rest| rest.split("```").next())
}

/// The backticked names in the last column of the tables.
fn tests_named_in(document: &str) -> BTreeSet<&str> {
    document
        .lines()
        .filter(|line| line.starts_with('|') && line.ends_with('|'))
        .filter_map(|line| line.trim_end_matches('|').rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

fn sources(root: &Path) -> Vec<String> {
    let code = ["crates", "bins", "fuzz"].iter().flat_map(|folder| files_below(&root.join(folder), "rs"));
    code.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files_below(&entry, extension));
        } else if entry.extension().is_some_and(|found| found == extension) {
            found.push(entry);
        }
    }
    found
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

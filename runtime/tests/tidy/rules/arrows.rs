//! Dependencies between the members point one way: examples, load, benches → runtime → router →
//! mailbox. The macros stand alone, and the models see the mailbox, and whole nodes in drawn schedules. A package with a workspace of
//! its own, like the rivals beside the benches, is no member and not looked at.

use std::collections::HashMap;

use crate::tree::{Finding, Text, Tree};

/// Each package of the workspace, and the packages of the workspace that it may depend on. The router
/// has the macros for its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("ringpost-mailbox", &[]),
    ("ringpost-router", &["ringpost-mailbox", "ringpost-macros"]),
    ("ringpost-macros", &[]),
    (
        "ringpost",
        &["ringpost-mailbox", "ringpost-router", "ringpost-macros"],
    ),
    ("ringpost-examples", &["ringpost"]),
    ("ringpost-renamed", &["ringpost"]),
    (
        "ringpost-load",
        &["ringpost", "ringpost-router", "ringpost-mailbox"],
    ),
    (
        "ringpost-benches",
        &["ringpost", "ringpost-router", "ringpost-mailbox"],
    ),
    ("ringpost-loom-tests", &["ringpost-mailbox", "ringpost"]),
    ("ringpost-fuzz", &["ringpost-router"]),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifests = || {
        tree.texts
            .iter()
            .filter(|text| text.path.ends_with("Cargo.toml"))
    };
    // A name that the root manifest gives to a package stands for it in all members.
    let renamed: HashMap<String, String> = manifests()
        .filter(|manifest| manifest.path == "Cargo.toml")
        .flat_map(dependencies)
        .map(|dependency| (dependency.key, dependency.package))
        .collect();
    for manifest in manifests().filter(|manifest| !is_root(manifest)) {
        let Some(package) = package_name(manifest) else {
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package) else {
            let text = format!("{package} has no line in the table of allowed dependencies");
            findings.push(Finding::at(&manifest.path, 0, text));
            continue;
        };
        for dependency in dependencies(manifest) {
            let to = renamed.get(&dependency.key).unwrap_or(&dependency.package);
            let member = ARROWS.iter().any(|(name, _)| name == to);
            if member && !allowed.contains(&to.as_str()) {
                let text = format!("{package} must not depend on {to}");
                findings.push(Finding::at(&manifest.path, dependency.line, text));
            }
        }
    }
    findings
}

/// Whether a manifest opens a workspace.
fn is_root(manifest: &Text) -> bool {
    let mut lines = manifest.text.lines().map(str::trim);
    lines.any(|line| line == "[workspace]")
}

struct Dependency {
    key: String,
    package: String,
    line: usize,
}

/// The dependencies of every kind that a manifest names.
fn dependencies(manifest: &Text) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let mut section = String::new();
    for (line, text) in manifest.text.lines().map(str::trim).enumerate() {
        if let Some(header) = text.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            if let Some(key) = table_of_one(&section) {
                found.push(Dependency {
                    key: key.to_owned(),
                    package: key.to_owned(),
                    line,
                });
            }
            continue;
        }
        let Some((key, value)) = text.split_once('=').filter(|_| !text.starts_with('#')) else {
            continue;
        };
        if section.ends_with("dependencies") {
            let key = key
                .split('.')
                .next()
                .unwrap_or(key)
                .trim()
                .trim_matches('"')
                .to_owned();
            let package = inline_package(value).unwrap_or(&key).to_owned();
            found.push(Dependency { key, package, line });
        } else if table_of_one(&section).is_some() && key.trim() == "package" {
            let last = found.last_mut().expect("the header put it there");
            value.trim().trim_matches('"').clone_into(&mut last.package);
        }
    }
    found
}

/// The name in a header like `dependencies.name`.
fn table_of_one(section: &str) -> Option<&str> {
    let (table, key) = section.rsplit_once('.')?;
    (table.ends_with("dependencies")).then_some(key)
}

/// The package in a value like `{ package = "name", … }`.
fn inline_package(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("package")?;
    rest.trim_start()
        .strip_prefix('=')?
        .trim_start()
        .strip_prefix('"')?
        .split('"')
        .next()
}

fn package_name(manifest: &Text) -> Option<&str> {
    let (_, package) = manifest.text.split_once("[package]")?;
    let name = package
        .lines()
        .find_map(|line| line.trim().strip_prefix("name"))?;
    Some(
        name.trim_start()
            .strip_prefix('=')?
            .trim()
            .trim_matches('"'),
    )
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::rules::findings;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n{rest}\n")
    }

    #[test]
    fn arrows_that_point_down_pass() {
        let runtime = manifest(
            "ringpost",
            "[dependencies]\nringpost-router.workspace = true\nmio = \"1\"\n[dev-dependencies]\nproptest = \"1\"",
        );
        assert!(findings(check, &[("runtime/Cargo.toml", &runtime)]).is_empty());
    }

    #[test]
    fn arrows_that_point_up_are_caught_in_every_spelling() {
        for rest in [
            "[dependencies]\nringpost.workspace = true",
            "[dev-dependencies]\nringpost = { path = \"../runtime\" }",
            "[build-dependencies]\n\"ringpost\" = \"1\"",
            "[target.'cfg(loom)'.dependencies]\nringpost = \"1\"",
            "[dependencies]\nother = { path = \"../runtime\", package = \"ringpost\" }",
            "[dependencies.ringpost]\npath = \"../runtime\"",
            "[dependencies.other]\npackage = \"ringpost\"",
        ] {
            let found = findings(
                check,
                &[("router/Cargo.toml", &manifest("ringpost-router", rest))],
            );
            assert_eq!(found.len(), 1, "{rest}");
            assert!(
                found[0].ends_with("ringpost-router must not depend on ringpost"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_rename_in_the_root_manifest_hides_nothing() {
        let root =
            "[workspace.dependencies]\nother = { path = \"runtime\", package = \"ringpost\" }";
        let router = manifest("ringpost-router", "[dependencies]\nother.workspace = true");
        let found = findings(
            check,
            &[("Cargo.toml", root), ("router/Cargo.toml", &router)],
        );
        assert_eq!(
            found,
            ["router/Cargo.toml:5: ringpost-router must not depend on ringpost"]
        );
    }

    #[test]
    fn a_workspace_of_its_own_is_no_member() {
        let peers = manifest(
            "peers",
            "[workspace]\n[dependencies]\nringpost = { path = \"../../runtime\" }",
        );
        assert!(findings(check, &[("benches/peers/Cargo.toml", &peers)]).is_empty());
    }

    #[test]
    fn an_unknown_member_is_caught() {
        let found = findings(check, &[("new/Cargo.toml", &manifest("ringpost-new", ""))]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("no line in the table"), "{found:?}");
    }
}

//! What `docs/FAULTS.md` and `docs/CHECKLIST.md` name exists: tests, settings,
//! items of the check.

use anyhow::{Context as _, Result, ensure};
use e2e::binaries::workspace_root;

#[test]
fn every_test_named_for_a_fault_exists() -> Result<()> {
    let text = std::fs::read_to_string(workspace_root().join("docs/FAULTS.md"))?;
    let rows = text.lines().filter(|line| {
        let row = line.strip_prefix("| ");
        let number = row.and_then(|row| row.split(' ').next());
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    });
    let mut numbers = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        numbers.push(cells[1].parse::<u8>()?);
        let named = cells.get(4).context("a row has four cells")?;
        ensure!(!named.is_empty(), "nothing covers fault {}", cells[1]);
        tests_exist(named)?;
    }
    ensure!(numbers.len() >= 30, "{numbers:?}");
    ensure!(
        numbers.iter().copied().eq((1..).take(numbers.len())),
        "{numbers:?}"
    );
    Ok(())
}

#[test]
fn everything_that_the_checklist_names_exists() -> Result<()> {
    let read = |path: &str| {
        std::fs::read_to_string(workspace_root().join(path)).with_context(|| path.to_owned())
    };
    let settings = read("config/hub-api.toml")? + &read("config/analysis-worker.toml")?;
    let text = read("docs/CHECKLIST.md")?;
    let mut rows = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, line, setting, check, tests, _] = cells[..] else {
            anyhow::bail!("a row has four cells: {row}");
        };
        if line == "what must hold" {
            continue;
        }
        rows += 1;
        let covered = [setting, check, tests].iter().any(|cell| !cell.is_empty());
        ensure!(covered, "nothing covers: {line}");
        for name in setting.split(',').map(|name| name.trim().trim_matches('`')) {
            let base = name.trim_end_matches("_FILE");
            ensure!(settings.contains(base), "{name} is no setting");
        }
        ensure!(
            check.is_empty() || item_exists(check)?,
            "no check has the item {check}"
        );
        if !tests.is_empty() {
            tests_exist(tests)?;
        }
    }
    ensure!(rows > 40, "{rows} rows");
    Ok(())
}

/// Whether the code of the checks names the item.
fn item_exists(check: &str) -> Result<bool> {
    let (folders, name) = match check.strip_prefix("worker: ") {
        Some(name) => (["analysis-worker/src/check.rs", "checklist/src"], name),
        None => (["hub-api/src/check", "checklist/src"], check),
    };
    let literal = format!("\"{name}\"");
    for folder in folders {
        let path = workspace_root().join("crates").join(folder);
        let files = if path.is_dir() {
            let entries = std::fs::read_dir(&path)?;
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>>>()?
        } else {
            vec![path]
        };
        for file in files {
            if std::fs::read_to_string(file)?.contains(&literal) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Fails where a test of a cell such as "`path`: `one`, `two`; `path`: `three`" is not there.
fn tests_exist(named: &str) -> Result<()> {
    let mut of_file = None;
    for quoted in named.split('`').skip(1).step_by(2) {
        if quoted.ends_with(".rs") || quoted.ends_with(".mjs") {
            let path = workspace_root().join("crates").join(quoted);
            let code = std::fs::read_to_string(path);
            of_file = Some(code.with_context(|| format!("{quoted} is named in the documents"))?);
            continue;
        }
        let code = of_file.as_ref().context("a path, then tests")?;
        let written = [format!("fn {quoted}("), format!("test('{quoted}'")];
        let exists = written.iter().any(|test| code.contains(test));
        ensure!(exists, "no test {quoted} where {named} says");
    }
    ensure!(of_file.is_some(), "a path, then tests");
    Ok(())
}

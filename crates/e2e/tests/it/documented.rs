//! The tests that `docs/FAULTS.md` names exist.

use anyhow::{Context as _, Result, ensure};
use e2e::binaries::workspace_root;

#[test]
fn every_test_named_for_a_fault_exists() -> Result<()> {
    let text = std::fs::read_to_string(workspace_root().join("docs/FAULTS.md"))?;
    let rows = text.lines().filter(|line| {
        let number = line.trim_start_matches("| ").split(' ').next();
        number.is_some_and(|number| number.parse::<u8>().is_ok())
    });
    let mut numbers = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        numbers.push(cells[1].parse::<u8>()?);
        let named = cells.get(4).context("a row has four cells")?;
        ensure!(!named.is_empty(), "nothing covers fault {}", cells[1]);
        for of_file in named.split(';') {
            let (file, tests) = of_file.split_once(':').context("a path, then tests")?;
            let path = format!("crates/{}", file.trim().trim_matches('`'));
            let code = std::fs::read_to_string(workspace_root().join(&path))
                .with_context(|| format!("{path} is named in docs/FAULTS.md"))?;
            for test in tests.split(',').map(|test| test.trim().trim_matches('`')) {
                let exists = code.contains(&format!("fn {test}("));
                ensure!(exists, "{path} has no test {test}");
            }
        }
    }
    ensure!(numbers == (1..=30).collect::<Vec<_>>(), "{numbers:?}");
    Ok(())
}

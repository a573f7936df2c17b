//! Where the binaries under test are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};

/// The folder with `hub-api` and `analysis-worker`: `TENDRIL_BIN_DIR` where it
/// is set. Else they are built once, in the profile that this process was built
/// in, so that a test never runs yesterday's hub; with the whole workspace, so
/// that the features of third-party crates are those of its tests, and none is
/// built twice.
pub fn binary(name: &str) -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER
        .get_or_init(|| find_folder().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run cargo build --bins",
        path.display()
    );
    Ok(path)
}

fn find_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("TENDRIL_BIN_DIR") {
        return Ok(workspace_root().join(folder));
    }
    let folder = profile_folder()?;
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(workspace_root())
        .args(["build", "--quiet", "--workspace", "--bins"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().context("cargo does not start")?;
    ensure!(status.success(), "the binaries do not build");
    Ok(folder)
}

/// `target/debug` or `target/release`, from where this process's binary is
/// (`deps/` and `examples/` are folders below it).
fn profile_folder() -> Result<PathBuf> {
    let own = env::current_exe().context("this process's own path is unknown")?;
    let folder = own
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"));
    Ok(folder
        .context("this process's binary is in no folder")?
        .to_owned())
}

/// The top of the project.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where everything that is built is put.
#[must_use]
pub fn target_folder() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace_root().join(folder)
}

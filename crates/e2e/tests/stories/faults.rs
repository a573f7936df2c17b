//! A short run of the fault suite. `make faults` makes the long one.

use anyhow::{Result, ensure};
use e2e::{
    Set,
    faults::{self, Plan},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_whatever_dies() -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("tendril-faults-")
        .tempdir()?;
    let plan = Plan {
        seed: rand::random::<u32>().into(),
        set: Set::from_environment()?,
        analyses: 380,
        built_in: 20,
        notifications: 400,
        rate: 8,
        users: 8,
        folder: folder.path().to_owned(),
    };
    let report = faults::run(&plan).await?;
    eprintln!("{report}");
    if report.is_good() {
        return Ok(());
    }
    let logs = folder.keep();
    ensure!(
        false,
        "with seed {} promises were broken; ledger and logs: {}",
        plan.seed,
        logs.display()
    );
    Ok(())
}

//! Connections that are open and silent: what one costs.

use super::{RunError, Stage};
use crate::report::Report;

pub(super) async fn idle(mut stage: Stage) -> Result<Report, RunError> {
    let crowd = stage.open_listeners().await?;
    let start = stage.meter.moment()?;
    tokio::time::sleep(stage.common.duration).await;
    let span = stage.meter.since(&start)?;
    stage.report.take_span(&span);
    stage.report.messages_per_second = None;
    if let Some(cpu) = span.server_cpu {
        let each = cpu / span.seconds / crowd.opened as f64;
        let name = "server CPU a second of 1,000 idle ones, ms";
        stage.report.further.insert(name, each * 1e6);
    }
    Ok(stage.end(crowd).await?.0)
}

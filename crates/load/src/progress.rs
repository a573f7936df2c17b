//! What is going on, on the terminal, while it is.

use std::{sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::run::{Run, get};

const EVERY: Duration = Duration::from_millis(200);

/// A line that is drawn until this is dropped. Where the errors go to no
/// terminal there is none.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Progress {
    pub(crate) fn show(run: &Arc<Run>, clients: u64, is_wanted: bool) -> Self {
        let bar = if is_wanted {
            ProgressBar::new(clients)
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} open  {msg}");
        bar.set_style(style.expect("the template is well-formed"));
        let (run, drawn) = (Arc::clone(run), bar.clone());
        let task = tokio::spawn(async move {
            let mut before = 0;
            loop {
                let counts = &run.counts;
                let received = get(&counts.received);
                drawn.set_position(get(&counts.open));
                let rate = (received - before) as f64 / EVERY.as_secs_f64();
                let (sent, failed) = (get(&counts.sent), get(&counts.failed));
                drawn.set_message(format!(
                    "{sent} sent, {received} received ({rate:.0} a second), {failed} failed"
                ));
                before = received;
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { bar, task }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

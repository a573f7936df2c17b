//! The hub's long-lived tasks: each has a name and is watched. One that ends
//! before it was told to is a reason to leave, whatever it ended with.

use std::{collections::HashMap, error::Error, future::Future};

use tokio::task::{Id, JoinSet};
use tracing::Instrument as _;

/// How a task ended.
#[derive(Debug)]
pub struct TaskEnd {
    /// The task's name.
    pub name: &'static str,
    /// What it failed with, where it did.
    pub error: Option<String>,
}

/// The tasks. Dropping it aborts them.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<Result<(), String>>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// No task yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `task` under `name`.
    pub fn spawn<E: Error>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = async move { task.await.map_err(|error| describe(&error)) };
        let handle = self
            .running
            .spawn(task.instrument(tracing::info_span!("task", name)));
        self.names.insert(handle.id(), name);
    }

    /// Whether the task `name` has not ended yet.
    #[must_use]
    pub fn is_running(&self, name: &str) -> bool {
        self.names.values().any(|running| *running == name)
    }

    /// The next task that ends; `None` when none is left.
    pub async fn ended(&mut self) -> Option<TaskEnd> {
        let (id, error) = match self.running.join_next_with_id().await? {
            Ok((id, result)) => (id, result.err()),
            // The payload of a panic was printed by the panic hook.
            Err(error) => (error.id(), Some("it panicked".to_owned())),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        Some(TaskEnd { name, error })
    }
}

/// An error with its causes.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn every_end_is_told_with_its_name() {
        let mut tasks = Tasks::new();
        tasks.spawn("failing", async { Err(io::Error::other("no disk")) });
        let end = tasks.ended().await.unwrap();
        assert_eq!(
            (end.name, end.error.as_deref()),
            ("failing", Some("no disk"))
        );
        tasks.spawn("ending", async { Ok::<(), io::Error>(()) });
        let end = tasks.ended().await.unwrap();
        assert_eq!((end.name, end.error), ("ending", None));
        tasks.spawn("panicking", async {
            if true {
                panic!("on purpose");
            }
            Ok::<(), io::Error>(())
        });
        let end = tasks.ended().await.unwrap();
        assert_eq!(
            (end.name, end.error.as_deref()),
            ("panicking", Some("it panicked"))
        );
        assert!(tasks.ended().await.is_none());
    }
}

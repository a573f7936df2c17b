//! What handlers share. Each takes the parts that it needs by `FromRef`.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use super::{Scrape, finishing::Finishing, health::Health, internal::guard::Guard, memory::Memory};
use crate::{
    auth::Entrance,
    config::Config,
    delivery::Delivery,
    hub::operations::Operations,
    images::{ImageStore, InDoubt},
    jobs::ReadyJobs,
    lifecycle::Shutdown,
    limits::UserLimits,
    links::Links,
    metrics::Metrics,
    store::Store,
    switches::Switches,
};

/// The state of the hub's HTTP side. A clone copies one pointer: axum makes
/// several of them for each request.
#[derive(Debug, Clone)]
pub struct AppState(Arc<AppParts>);

/// The parts of an [`AppState`].
#[derive(Debug)]
pub struct AppParts {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) images: ImageStore,
    pub(crate) in_doubt: Arc<InDoubt>,
    pub(crate) delivery: Delivery,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) links: Links,
    pub(crate) guard: Arc<Guard>,
    pub(crate) limits: Arc<UserLimits>,
    pub(crate) ready_jobs: Arc<ReadyJobs>,
    pub(crate) upload_memory: Memory,
    pub(crate) finishing: Finishing,
    pub(crate) waiting_leases: Arc<Semaphore>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) scrape: Arc<Scrape>,
    pub(crate) switches: Switches,
    pub(crate) operations: Operations,
    pub(crate) shutdown: Shutdown,
}

impl From<AppParts> for AppState {
    fn from(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

macro_rules! parts {
    ($($field:ident: $part:ty,)*) => {
        $(impl FromRef<AppState> for $part {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

parts! {
    config: Arc<Config>,
    store: Store,
    images: ImageStore,
    delivery: Delivery,
    entrance: Arc<Entrance>,
    links: Links,
    guard: Arc<Guard>,
    ready_jobs: Arc<ReadyJobs>,
    upload_memory: Memory,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    switches: Switches,
    operations: Operations,
    shutdown: Shutdown,
}

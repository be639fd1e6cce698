//! Pushing: what a scrape would get is brought to where nobody asks for it, over and over, until the end.
//!
//! `gateway` puts the newest in the place of what was before; `otlp` keeps what could not be sent, for a while.

mod gateway;
mod otlp;

use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use gateway::{AfterPush, GatewayPush};
pub use otlp::OtlpPush;

use super::Scraper;
use gateway::Pushing;
use otlp::Exporting;

/// So long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So long all may take that is to be done at the end: the supervisor waits for two seconds.
const LAST_TIMEOUT: Duration = Duration::from_millis(1500);

/// What is pushed where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// To a Pushgateway.
    pub gateway: Option<GatewayPush>,
    /// To a receiver of the OpenTelemetry protocol.
    pub otlp: Option<OtlpPush>,
}

impl Push {
    /// Whether nothing is pushed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Pushes that have begun.
pub(super) struct Pushes {
    gateway: Option<Pushing>,
    otlp: Option<Exporting>,
}

impl Pushes {
    pub(super) fn begin(push: Push, scraper: &Arc<Mutex<Scraper>>) -> Self {
        Self {
            gateway: push.gateway.map(|push| Pushing::new(push, Arc::clone(scraper))),
            otlp: push.otlp.map(|push| Exporting::new(push, Arc::clone(scraper))),
        }
    }

    /// Never returns.
    pub(super) async fn push_for_ever(&mut self) {
        let gateway = async {
            match &mut self.gateway {
                Some(pushing) => pushing.push_for_ever().await,
                None => std::future::pending().await,
            }
        };
        let otlp = async {
            match &mut self.otlp {
                Some(exporting) => exporting.export_for_ever().await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(gateway, otlp);
    }

    /// Does what is to be done at the end.
    pub(super) async fn end(self) {
        let gateway = async {
            if let Some(pushing) = self.gateway {
                pushing.end().await;
            }
        };
        let otlp = async {
            if let Some(exporting) = self.otlp {
                exporting.end().await;
            }
        };
        tokio::join!(gateway, otlp);
    }
}

//! Around a whole router of axum's, which then does not put what a layer makes into boxes.
//!
//! But which route a request has, only a layer inside is told. So the router is there twice: as it is, and with a layer.
//! A path that comes for the first time goes through the layer, which measures it and notes where it was counted; when it
//! comes again, that is known, and it is measured around the router as it is.

mod future;
mod known;
mod routed;
mod service;

pub use future::RouterFuture;
pub use service::MeasuredRouter;

//! A Pushgateway, and a group of series in it.

use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;

use crate::credentials::Credentials;
use crate::group::Group;
use crate::request::{Message, PushError, send};
use crate::url::Url;

/// A group in a Pushgateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where the Pushgateway is.
    pub url: Url,
    /// The group.
    pub group: Group,
    /// Who is believed to be it, and how it is told who pushes.
    pub credentials: Credentials,
}

impl Gateway {
    /// Puts an exposition of this Content-Type in the place of all that the group had.
    ///
    /// # Errors
    ///
    /// When the Pushgateway does not say within `timeout` that it has taken it. It refuses what contradicts other
    /// groups, or says anything twice.
    pub async fn put(
        &self,
        exposition: Vec<u8>,
        content_type: &str,
        timeout: Duration,
    ) -> Result<(), PushError> {
        let path = self.group.path();
        let message = Message {
            method: Method::PUT,
            path: &path,
            content_type: Some(content_type),
            headers: Vec::new(),
            body: exposition.into(),
        };
        send((&self.url, &self.credentials), message, timeout).await.map(drop)
    }

    /// Deletes the group, so that nobody takes it for something that goes on.
    ///
    /// # Errors
    ///
    /// When the Pushgateway does not say within `timeout` that it will.
    pub async fn delete(&self, timeout: Duration) -> Result<(), PushError> {
        let path = self.group.path();
        let message = Message {
            method: Method::DELETE,
            path: &path,
            content_type: None,
            headers: Vec::new(),
            body: Bytes::new(),
        };
        send((&self.url, &self.credentials), message, timeout).await.map(drop)
    }
}

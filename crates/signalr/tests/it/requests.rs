//! HTTP requests to a hub without a socket: negotiate, polls and POSTs.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use signalr::{HubServer, Principal};
use tower::ServiceExt as _;

/// The handshake of a client that speaks JSON.
pub(crate) const HELLO: &str = "{\"protocol\":\"json\",\"version\":1}\x1e";

/// What sends requests to a hub, as a user.
#[derive(Clone)]
pub(crate) struct Requests {
    hub: HubServer,
    principal: Option<Arc<Principal>>,
}

impl Requests {
    pub(crate) fn to(hub: &HubServer) -> Self {
        Self {
            hub: hub.clone(),
            principal: None,
        }
    }

    pub(crate) fn by(&self, principal: Principal) -> Self {
        Self {
            hub: self.hub.clone(),
            principal: Some(Arc::new(principal)),
        }
    }

    /// Negotiates with these additions to the query; gives the token.
    pub(crate) async fn negotiate(&self, query: &str) -> String {
        let target = format!("/hub/negotiate?negotiateVersion=1{query}");
        let answer = self.ask("POST", &target, "").await;
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["connectionToken"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Begins a conversation over long polling; gives its address.
    pub(crate) async fn poll_first(&self) -> String {
        let target = format!("/hub?id={}", self.negotiate("").await);
        assert_eq!(self.ask("GET", &target, "").await, "");
        self.ask("POST", &target, HELLO).await;
        assert_eq!(self.ask("GET", &target, "").await, "{}\x1e");
        target
    }

    /// The text of an answer that must be a good one.
    pub(crate) async fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .body(Body::from(body.to_owned()));
        let mut request = request.expect("a valid request");
        if let Some(principal) = &self.principal {
            request.extensions_mut().insert(Principal::clone(principal));
        }
        let Ok(answer) = self.hub.service("/hub").oneshot(request).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        let body = answer.into_body().collect().await.expect("a whole body");
        String::from_utf8(body.to_bytes().to_vec()).expect("text")
    }
}

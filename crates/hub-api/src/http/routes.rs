//! The table of all routes.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension, Router,
    extract::Request,
    middleware,
    response::{IntoResponse as _, Response},
};
use signalr::HubServer;
use tower::{Service, ServiceBuilder};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState, admin, analyses, callbacks, development, health, internal,
    layers::{self, TimeLimit},
    metrics, notifications,
    openapi::{self, Rendered},
    pages::{self, Pages},
    surround::SurroundLayer,
};
use crate::{
    auth::hub_gate,
    hub::{operations, plant_analysis},
    switches::switch_gate,
};

/// Routers of the listeners.
#[derive(Debug)]
pub struct Routers {
    /// For clients.
    pub public: Router,
    /// For workers, where they have their own listener.
    pub internal: Option<Router>,
}

fn uploads() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(analyses::upload::upload))
        .routes(routes!(analyses::upload::upload_alias))
}

fn rest() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(analyses::list::list_analyses))
        .routes(routes!(analyses::get::get_analysis))
        .routes(routes!(analyses::picture::get_image))
        .routes(routes!(analyses::picture::get_overlay))
        .routes(routes!(notifications::list::list_notifications))
        .routes(routes!(notifications::acknowledge::acknowledge))
        .routes(routes!(notifications::unread_count::unread_count))
        .routes(routes!(admin::notification_log::notification_log))
        .routes(routes!(admin::connections::node_connections))
        .routes(routes!(admin::connections::close_connection))
        .routes(routes!(
            admin::connections::admin_connections,
            admin::connections::admin_close_connections
        ))
        .routes(routes!(
            admin::switches::switches,
            admin::switches::change_switches
        ))
        .routes(routes!(development::development_token))
        .routes(routes!(callbacks::progress::callback_progress))
        .routes(routes!(callbacks::result::callback_result))
        .routes(routes!(metrics::signalr_metrics))
        .routes(routes!(openapi::openapi_json))
}

fn health_checks() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::api_health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::health_signalr))
}

fn internal_calls() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(internal::notify::notify))
        .routes(routes!(internal::broadcast::broadcast))
        .routes(routes!(internal::deployed::analysis_completed))
        .routes(routes!(internal::deployed::analysis_failed))
        .routes(routes!(internal::lease::lease_jobs))
        .routes(routes!(internal::claim::claim_job))
        .routes(routes!(internal::outside_result::outside_result))
        .routes(routes!(internal::ping::ping))
        .routes(routes!(internal::heartbeat::heartbeat))
        .routes(routes!(internal::retry::retry_job))
        .routes(routes!(internal::image::internal_image))
        .routes(routes!(internal::overlay::put_overlay))
        .routes(routes!(
            internal::connections::list_connections,
            internal::connections::close_connections
        ))
}

/// On the listener of workers, where they have their own.
fn figures() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(metrics::metrics))
}

/// Method and path of every route, those of hubs included.
pub(crate) fn route_table() -> Vec<(&'static str, String)> {
    let mut table = Vec::new();
    for (path, item) in document().paths.paths {
        let operations = [
            ("GET", item.get),
            ("PUT", item.put),
            ("POST", item.post),
            ("PATCH", item.patch),
            ("DELETE", item.delete),
        ];
        let there = operations
            .into_iter()
            .filter(|(_, operation)| operation.is_some());
        table.extend(there.map(|(method, _)| (method, path.clone())));
    }
    table.extend(pages::ROUTES.map(|path| ("GET", path.to_owned())));
    for hub in HUBS {
        table.push(("POST", format!("{hub}/negotiate")));
        table.extend(["GET", "POST", "DELETE"].map(|method| (method, (*hub).to_owned())));
    }
    table
}

/// The route of a hub's request, whatever its letter case.
pub(super) fn hub_route(path: &str) -> Option<&'static str> {
    let path = path.trim_end_matches('/');
    HUB_ROUTES
        .iter()
        .find(|route| route.eq_ignore_ascii_case(path))
        .copied()
}

/// Where hubs are mounted.
const HUBS: &[&str] = &[plant_analysis::PATH, operations::PATH];
/// These, and where they are negotiated.
const HUB_ROUTES: &[&str] = &[
    "/hubs/plantanalysis",
    "/hubs/plantanalysis/negotiate",
    "/hubs/admin",
    "/hubs/admin/negotiate",
];

/// The OpenAPI document of all routes.
#[must_use]
pub fn document() -> OpenApi {
    OpenApiRouter::<AppState>::with_openapi(openapi::base())
        .merge(uploads())
        .merge(rest())
        .merge(health_checks())
        .merge(figures())
        .merge(internal_calls())
        .into_openapi()
}

/// The routers; the hubs are on the public one.
#[must_use]
pub fn routers(state: &AppState, hub: &HubServer) -> Routers {
    let server = &state.config.server;
    let around = SurroundLayer::new(&state.config, &state.metrics);
    let quick = TimeLimit(server.request_timeout);
    let patient = TimeLimit(server.internal_timeout());
    let public = OpenApiRouter::new()
        .merge(uploads().layer(TimeLimit(server.upload_timeout)))
        .merge(rest().layer(quick))
        .merge(health_checks());
    let internal = internal_calls().layer(patient);
    let routes = |router: OpenApiRouter<AppState>| {
        let (router, _) = router.split_for_parts();
        let router = router.method_not_allowed_fallback(layers::method_not_allowed);
        router.with_state(state.clone())
    };
    // What is for clients alone (CORS, the hubs and their gates) does not
    // stand in the way of internal calls.
    let clients = |public: OpenApiRouter<AppState>| {
        routes(public)
            .merge(pages::routes(Pages::new(state.config.environment)))
            .layer(Extension(Rendered::new(&document())))
            .fallback_service(hubs(state, hub))
            .layer(around.clone())
            .layer(layers::cors(&state.entrance))
    };
    if server.internal_port.is_some() {
        let internal = routes(internal.merge(figures()).merge(health_checks()));
        let internal = internal.fallback(layers::not_found).layer(around.clone());
        return Routers {
            public: clients(public),
            internal: Some(internal),
        };
    }
    let internal = routes(internal.merge(figures())).layer(around.clone());
    Routers {
        public: clients(public).merge(internal),
        internal: None,
    }
}

/// The hubs behind their gates. They are no routes of a router, since their
/// paths have any letter case.
fn hubs(
    state: &AppState,
    hub: &HubServer,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
+ Clone
+ Send
+ Sync
+ 'static {
    let nothing = || async { Ok(layers::not_found().await.into_response()) };
    ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(
            state.switches.clone(),
            switch_gate,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state.entrance),
            hub_gate,
        ))
        .layer(hub.layer(plant_analysis::PATH))
        .layer(state.operations.server.layer(operations::PATH))
        .service_fn(move |_: Request| nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete_in_itself() {
        let document = serde_json::to_value(document()).unwrap();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.trim_start_matches('#');
            assert!(
                document.pointer(pointer).is_some(),
                "{reference} leads nowhere"
            );
        }
        let mut ids = std::collections::HashSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} names two operations");
                let responses = operation["responses"].as_object().unwrap();
                assert!(!responses.is_empty(), "{method} {path}");
                let named = path.matches('{').count();
                let parameters = operation["parameters"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
                assert_eq!(named, in_path, "{method} {path}");
            }
        }
    }

    #[test]
    fn the_routes_of_hubs_are_in_the_table() {
        let table = route_table();
        for route in HUB_ROUTES {
            assert!(table.iter().any(|(_, path)| path == route), "{route}");
            assert_eq!(
                hub_route(&format!("{}/", route.to_uppercase())),
                Some(*route)
            );
        }
        assert_eq!(hub_route("/hubs/other"), None);
        assert!(table.contains(&("GET", "/metrics".to_owned())));
    }

    fn collect(value: &serde_json::Value, references: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                for (name, value) in members {
                    match value.as_str() {
                        Some(reference) if name == "$ref" => references.push(reference.to_owned()),
                        _ => collect(value, references),
                    }
                }
            }
            serde_json::Value::Array(items) => {
                items.iter().for_each(|item| collect(item, references));
            }
            _ => {}
        }
    }
}

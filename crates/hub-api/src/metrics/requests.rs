//! Requests by route and answer.

use std::{collections::HashMap, fmt, time::Duration};

use http::{Method, StatusCode};
use telemetry::metrics::{Counter, Histogram, LATENCY, Source, Writer};

/// Answers that are counted by themselves; others by the first digit.
const CODES: [u16; 20] = [
    101, 200, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 499, 500, 503,
    504,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What no route serves.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The figures.
#[derive(Debug)]
pub(crate) struct RequestFigures {
    routes: Vec<Route>,
    by_path: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Route {
    method: String,
    path: String,
    answers: Box<[Counter]>,
    took: Histogram,
}

impl Route {
    fn new(method: &str, path: &str) -> Self {
        let answers = CODES.len() + CLASSES.len();
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            answers: (0..answers).map(|_| Counter::default()).collect(),
            took: Histogram::new(LATENCY),
        }
    }
}

impl RequestFigures {
    /// Of all routes that there are.
    pub(super) fn new() -> Self {
        let mut routes = vec![Route::new("", UNMATCHED)];
        routes.extend(
            crate::http::route_table()
                .iter()
                .map(|(method, path)| Route::new(method, path)),
        );
        let mut by_path: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            by_path.entry(route.path.clone()).or_default().push(index);
        }
        Self { routes, by_path }
    }

    /// A request was answered. `path` is that of its route, and no other.
    pub(crate) fn answered(&self, method: &Method, path: &str, code: StatusCode, took: Duration) {
        let route = &self.routes[self.find(method, path)];
        let known = CODES.iter().position(|each| *each == code.as_u16());
        let class = usize::from(code.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let index = known.unwrap_or(CODES.len() + class);
        route.answers[index].increment();
        route.took.record(took);
    }

    fn find(&self, method: &Method, path: &str) -> usize {
        let known = self.by_path.get(path).map_or(&[][..], Vec::as_slice);
        let same = |index: &&usize| self.routes[**index].method == method.as_str();
        known.iter().find(same).copied().unwrap_or(0)
    }
}

impl Source for RequestFigures {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let names: Vec<String> = CODES.iter().map(u16::to_string).collect();
        let names = || names.iter().map(String::as_str).chain(CLASSES);
        let answers = self.routes.iter().flat_map(|route| {
            let counted = route.answers.iter().zip(names());
            counted
                // A series begins with its first answer: most never do.
                .filter(|(counter, _)| counter.get() > 0)
                .map(|(counter, code)| {
                    let labels = [
                        ("method", route.method.as_str()),
                        ("route", &route.path),
                        ("code", code),
                    ];
                    (labels, counter.get())
                })
        });
        let help = "Requests, by the route that served them and their answer.";
        writer.totals("tendril_http_requests", help, answers)?;
        let used = self.routes.iter().filter(|route| route.took.count() > 0);
        let took = used.map(|route| {
            let labels = [("method", route.method.as_str()), ("route", &route.path)];
            (labels, &route.took)
        });
        let help = "Until a request was answered; of a WebSocket, until it was open.";
        writer.histograms("tendril_http_request_seconds", help, took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_make_up_makes_no_label() {
        let figures = RequestFigures::new();
        let before = figures.routes.len();
        for index in 0..100 {
            let path = format!("/x/{index}");
            let code = StatusCode::NOT_FOUND;
            figures.answered(&Method::GET, &path, code, Duration::ZERO);
        }
        let made_up = Method::from_bytes(b"BREW").unwrap();
        let teapot = StatusCode::IM_A_TEAPOT;
        figures.answered(&made_up, "/health", teapot, Duration::ZERO);
        assert_eq!(figures.routes.len(), before);
        let unmatched = &figures.routes[0];
        assert_eq!(unmatched.took.count(), 101);
        let not_found = CODES.iter().position(|code| *code == 404).unwrap();
        assert_eq!(unmatched.answers[not_found].get(), 100);
        assert_eq!(unmatched.answers[CODES.len() + 3].get(), 1);
    }
}

//! The W3C trace context (<https://www.w3.org/TR/trace-context/>): taken over
//! from whoever calls, handed on to whoever is called.
//!
//! Where traces are not exported, every function here is one look at a flag.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header, and the member of a hub message's headers.
pub const TRACEPARENT: &str = "traceparent";

static EXPORTED: AtomicBool = AtomicBool::new(false);

/// From now on spans are exported.
pub(crate) fn switch_on() {
    EXPORTED.store(true, Ordering::Relaxed);
}

/// Whether spans are exported.
#[must_use]
pub fn is_on() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// Where in a trace something happened: what `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl TraceParent {
    /// Reads `00-<trace id>-<span id>-<flags>`. Of later versions, what the
    /// first one has (section 4 of the recommendation).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() < 55 || !text.is_ascii() {
            return None;
        }
        let (known, rest) = text.split_at(55);
        let mut parts = known.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower = known
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let lengths = (version.len(), trace.len(), span.len(), flags.len());
        if !lower || lengths != (2, 32, 16, 2) || version == "ff" {
            return None;
        }
        let ends = if version == "00" {
            rest.is_empty()
        } else {
            rest.is_empty() || rest.starts_with('-')
        };
        let parent = Self {
            trace: TraceId::from_hex(trace).ok()?,
            span: SpanId::from_hex(span).ok()?,
            flags: TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        };
        let valid = parent.trace != TraceId::INVALID && parent.span != SpanId::INVALID;
        (ends && valid).then_some(parent)
    }

    /// Of the request's header, where there is exactly one.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let first = all.next()?.to_str().ok()?;
        match all.next() {
            None => Self::parse(first),
            Some(_) => None,
        }
    }

    /// Of the span that runs now; `None` where spans are not exported.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// Of a span; `None` where spans are not exported.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        if !is_on() {
            return None;
        }
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| Self {
            trace: context.trace_id(),
            span: context.span_id(),
            flags: context.trace_flags(),
        })
    }

    /// As a header says it.
    #[must_use]
    pub fn to_text(self) -> String {
        let flags = self.flags & TraceFlags::SAMPLED;
        format!("00-{}-{}-{:02x}", self.trace, self.span, flags.to_u8())
    }

    /// The trace's id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        self.trace.to_string()
    }

    fn context(self) -> Context {
        let remote = SpanContext::new(self.trace, self.span, self.flags, true, TraceState::NONE);
        Context::new().with_remote_span_context(remote)
    }
}

/// Makes `span`, which has not been entered yet, a part of the trace of `parent`.
pub fn adopt(span: &Span, parent: Option<TraceParent>) {
    if let Some(parent) = parent
        && is_on()
    {
        // A span that no layer exports needs no parent.
        let _ = span.set_parent(parent.context());
    }
}

/// Tells whoever is called by a request with these headers of the current span.
pub fn hand_on(headers: &mut HeaderMap) {
    if let Some(current) = TraceParent::current()
        && let Ok(value) = HeaderValue::try_from(current.to_text())
    {
        headers.insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_parent_is_read_and_written() {
        let parent = TraceParent::parse(GOOD).unwrap();
        assert_eq!(parent.to_text(), GOOD);
        assert_eq!(parent.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        let later = GOOD.replacen("00", "cc", 1) + "-more";
        assert_eq!(TraceParent::parse(&later).unwrap().to_text(), GOOD);
    }

    #[test]
    fn what_the_recommendation_calls_invalid_is_none() {
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\u{e4}-01",
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn two_headers_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceParent::of_headers(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::of_headers(&headers), None);
    }
}

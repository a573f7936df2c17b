//! The `json` hub protocol: each message one JSON object, ended by U+001E.
//!
//! Owns reading and writing that text, byte for byte as ASP.NET Core's server
//! does with System.Text.Json. Framing is a search for the separator, since
//! well-formed JSON never contains the byte. Messages are read in one pass and
//! borrow from it; arguments, items and results are only checked to be JSON.

mod parse;
mod members;
mod reader;
mod scalar;
mod run;
mod text;
mod fault;
mod write;
mod serializer;
mod compound;
mod map_key;
mod number;
mod escape;
mod escape_ranges;
mod raw_text;
mod raw_json;
mod value;

pub use raw_json::RawJson;

pub(super) use escape::write_string;
pub(super) use fault::Fault;
pub(super) use members::{ReadError, enter_message, read_int32, read_string};
pub(super) use parse::parse;
pub(super) use reader::Reader;
pub(super) use value::{read_value, split_element, write_value};
pub(super) use write::{
    write_cancel_invocation, write_close, write_end, write_invocation, write_result,
    write_sequence_id, write_stream_item,
};

/// Ends every message, the handshake's included.
pub(super) const RECORD_SEPARATOR: u8 = 0x1e;

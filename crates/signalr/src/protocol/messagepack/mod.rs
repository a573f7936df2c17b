//! The `messagepack` hub protocol: each message one MessagePack array,
//! preceded by its length as a VarInt.
//!
//! Owns reading and writing those bytes as ASP.NET Core's server does.
//! Messages are read in one pass and borrow from it; arguments, items and
//! results are only checked to be well-formed. No length that the bytes claim
//! is believed before the bytes are there.

mod frame;
mod reader;
mod parse;
mod encode;
mod write;
mod value;

pub(super) use encode::write_array_len;
pub(super) use parse::parse;
pub(super) use value::{read_value, split_element, write_value};
pub(super) use write::{
    write_cancel_invocation, write_close, write_end, write_invocation, write_result,
    write_sequence_id, write_stream_item,
};

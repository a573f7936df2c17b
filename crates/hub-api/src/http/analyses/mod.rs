//! `/api/v1/plantanalyses`: uploading a photo, and what became of it.

pub(crate) mod upload;
mod receive;
mod multipart_upload;
mod json_upload;
mod photo;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod picture;
mod view;

pub(in crate::http) use photo::judge;

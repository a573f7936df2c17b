//! Free ports on the loopback interface.

pub use private_services::free_port;

//! `pilar-loader`: init container and sidecar.

fn main() {}

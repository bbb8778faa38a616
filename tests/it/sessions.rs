//! Sessions that outlive their connections: their limits, and what they keep.

mod limits;
mod packet_ids;

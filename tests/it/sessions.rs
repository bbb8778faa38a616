//! Sessions that outlive their connections: their limits, and what they keep.

mod packet_ids;

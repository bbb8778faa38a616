//! Every limit a rule runs under.

use std::time::Duration;

/// What one rule may use. Each limit has a name that errors repeat, so an admin finds the setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Elements of one array value, those of arrays within it included.
    pub array_len_max: usize,
    /// Bytes of the name of a leaderboard's member.
    pub board_member_bytes_max: usize,
    /// Members of a leaderboard in one period. More are refused: nobody falls off.
    pub board_members_max: usize,
    /// Depth of function calls. With 32 levels of deeply nested expressions a run fits a stack of 1 MiB.
    pub call_depth_max: usize,
    /// Bytes of all payloads, values and log lines that one run asks for.
    pub effect_bytes_max: usize,
    /// Effects that one run asks for.
    pub effects_max: usize,
    /// Nesting of one expression in the source.
    pub expression_depth_max: usize,
    /// Bytes of a table's key part.
    pub key_bytes_max: usize,
    /// Entries of one map value, those of maps within it included.
    pub map_len_max: usize,
    /// Steps of the interpreter in one run.
    pub operations_max: u64,
    /// Bytes of a text that is parsed as JSON.
    pub payload_bytes_max: usize,
    /// Rows of one query.
    pub query_rows_max: usize,
    /// Bytes that one run reads from tables.
    pub read_bytes_max: usize,
    /// Bytes of memory that one run holds at a time, if the program counts them: see
    /// [`CountingAllocator`](crate::CountingAllocator).
    pub run_memory_bytes_max: usize,
    /// Time of one run.
    pub run_time_max: Duration,
    /// Bytes of a rule's source.
    pub script_bytes_max: usize,
    /// Bytes of text in one value: of a string, or of all strings within an array or map.
    pub string_bytes_max: usize,
    /// Variables in scope of one function.
    pub variables_max: usize,
}

/// What of the limits of a run is used up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Steps of the interpreter.
    pub operations: u64,
    /// Wall clock.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            array_len_max: 2_000,
            board_member_bytes_max: 256,
            board_members_max: 1_000_000,
            call_depth_max: 32,
            effect_bytes_max: 1 << 20,
            effects_max: 100,
            expression_depth_max: 64,
            key_bytes_max: 1_024,
            map_len_max: 2_000,
            operations_max: 20_000,
            payload_bytes_max: 256 << 10,
            query_rows_max: 1_000,
            read_bytes_max: 4 << 20,
            run_memory_bytes_max: 32 << 20,
            run_time_max: Duration::from_millis(50),
            script_bytes_max: 256 << 10,
            string_bytes_max: 16 << 10,
            variables_max: 128,
        }
    }
}
